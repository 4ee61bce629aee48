import pytest
from pydantic import JsonValue

from workflows.machine.timing import deadline_of

NEW_YEAR = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC


@pytest.mark.parametrize(
    ("given", "zone", "at"),
    [
        (60, "UTC", NEW_YEAR + 60),
        (" 60 ", "UTC", NEW_YEAR + 60),
        (1.5, "UTC", NEW_YEAR + 1.5),
        ("0", "UTC", NEW_YEAR),
        ("2026-01-01 08:00:00", "UTC", NEW_YEAR + 8 * 3600),
        ("2026-01-01 08:00:00", "Asia/Shanghai", NEW_YEAR),
    ],
)
def test_a_time_is_seconds_from_now_or_a_moment_in_the_zone(
    given: JsonValue, zone: str, at: float
) -> None:
    assert deadline_of(given, NEW_YEAR, zone, allow_past=False) == at


@pytest.mark.parametrize(
    "given", ["", "soon", "-5", "1e3", "6.", None, True, [], "2026-13-01", "٣"]
)
def test_anything_else_is_refused_with_an_example(given: JsonValue) -> None:
    with pytest.raises(ValueError, match="neither a number of seconds nor a time like"):
        deadline_of(given, NEW_YEAR, "UTC", allow_past=False)


def test_a_past_moment_is_refused_unless_allowed() -> None:
    with pytest.raises(ValueError, match="lies in the past"):
        deadline_of("2025-12-31 23:00:00", NEW_YEAR, "UTC", allow_past=False)

    assert deadline_of("2025-12-31 23:00:00", NEW_YEAR, "UTC", allow_past=True) == NEW_YEAR - 3600
