import io
import json
import logging
from collections.abc import Generator

import pytest
import structlog

from workers.logs import configure_logs, redact


@pytest.fixture(autouse=True)
def _logging_as_before() -> Generator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def _logged(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_ours_and_the_standard_library_s_loggers_share_one_form() -> None:
    stream = io.StringIO()
    configure_logs("info", as_json=True, stream=stream)

    structlog.get_logger("workers.worker").info("workers.worker_started", queue="stdops")
    logging.getLogger("temporalio.worker").warning("poll %s", "failed")

    first, second = _logged(stream)
    assert (first["event"], first["queue"], first["level"]) == (
        "workers.worker_started",
        "stdops",
        "info",
    )
    assert (second["event"], second["logger"], second["level"]) == (
        "poll failed",
        "temporalio.worker",
        "warning",
    )


def test_below_the_level_nothing_is_logged() -> None:
    stream = io.StringIO()
    configure_logs("warning", as_json=True, stream=stream)

    structlog.get_logger("x").info("quiet")
    logging.getLogger("y").info("quiet too")

    assert stream.getvalue() == ""


def test_text_for_people_has_no_colours_off_a_terminal() -> None:
    stream = io.StringIO()
    configure_logs("info", stream=stream)

    structlog.get_logger("x").info("workers.worker_started", queue="运维")

    assert "workers.worker_started" in stream.getvalue()
    assert "queue=运维" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()


def test_a_secret_in_a_traceback_is_masked() -> None:
    stream = io.StringIO()
    configure_logs("info", as_json=True, stream=stream)

    structlog.get_logger("x").error("call_failed", exc_info=OSError("token=abc123 refused"))

    assert "abc123" not in stream.getvalue()
    assert "OSError: token=***" in stream.getvalue()


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"password": "x"}, {"password": "***"}),
        ({"callback_token": 12}, {"callback_token": "***"}),
        ({"token": ""}, {"token": ""}),
        ({"headers": {"Authorization": "Bearer abc"}}, {"headers": {"Authorization": "***"}}),
        ({"list": [{"secret": "x"}, "y"]}, {"list": [{"secret": "***"}, "y"]}),
        ({"error": "url db://u:pw@host/x"}, {"error": "url db://u:***@host/x"}),
        ({"error": "sent Bearer abcdef123"}, {"error": "sent Bearer ***"}),
        ({"error": 'body {"app_secret": "s3", "a": 1}'}, None),
        ({"error": "?bk_token=t0p&x=1"}, {"error": "?bk_token=***&x=1"}),
        ({"node": "n1", "attempt": 2}, {"node": "n1", "attempt": 2}),
    ],
)
def test_secrets_are_masked(event: dict[str, object], expected: dict[str, object] | None) -> None:
    wanted = expected or {"error": 'body {"app_secret": ***, "a": 1}'}

    assert redact(None, "info", event) == wanted
