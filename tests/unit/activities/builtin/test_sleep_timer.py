from datetime import UTC, datetime, timedelta

import pytest

from activities.builtin.sleep_timer import TimingError, deadline_of, sleep_timer
from activities.contract import Done, Failed
from activities.testing import START, Stage

NOW = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
SHANGHAI = "Asia/Shanghai"


@pytest.mark.parametrize(
    ("text", "timezone", "deadline"),
    [
        ("0", SHANGHAI, NOW),
        ("90", SHANGHAI, NOW + timedelta(seconds=90)),
        (" 90 ", SHANGHAI, NOW + timedelta(seconds=90)),
        ("2024-05-01 20:00:05", SHANGHAI, NOW + timedelta(seconds=5)),
        ("2024-05-01 12:00:05", "UTC", NOW + timedelta(seconds=5)),
    ],
)
def test_a_deadline_is_seconds_from_now_or_a_time_of_the_project(
    text: str, timezone: str, deadline: datetime
) -> None:
    assert deadline_of(text, NOW, timezone, force_check=True) == deadline


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "٣",
        "2024-13-01 00:00:00",
        "2024-05-01",
        "0000-00-00 00:00:00",
        "9999999999999",
        "9999999999",
        "${time}",
    ],
)
def test_other_text_is_no_time(text: str) -> None:
    if text == "9999999999":
        assert deadline_of(text, NOW, SHANGHAI, force_check=True).year == 2341
        return
    with pytest.raises(TimingError, match="bk_timing"):
        deadline_of(text, NOW, SHANGHAI, force_check=True)


def test_a_time_that_has_passed_is_refused_or_ends_at_once() -> None:
    past = "2024-05-01 19:59:59"

    with pytest.raises(TimingError, match="has passed"):
        deadline_of(past, NOW, SHANGHAI, force_check=True)
    assert deadline_of(past, NOW, SHANGHAI, force_check=False) == NOW


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(TimingError, match="time zone 'Mars/Base' is unknown"):
        deadline_of("2024-05-01 20:00:05", NOW, "Mars/Base", force_check=True)


async def test_the_plugin_waits_until_its_deadline() -> None:
    async with Stage() as stage:
        outcome = await stage.run(sleep_timer, {"bk_timing": 90})

    assert outcome == Done()
    assert stage.elapsed_s == 90


async def test_the_plugin_takes_the_project_s_time_zone() -> None:
    async with Stage(context={"timezone": "UTC"}) as stage:
        text = (START + timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S")
        await stage.run(sleep_timer, {"bk_timing": text})

    assert stage.elapsed_s == 7200


async def test_a_wrong_time_fails_the_node() -> None:
    async with Stage() as stage:
        outcome = await stage.run(sleep_timer, {"bk_timing": "soon", "force_check": "true"})

    assert isinstance(outcome, Failed)
    assert "give seconds from now" in outcome.error
