"""`sleep_timer`: waits some seconds, or until a time of day.

Source: bk-sops sleep_timer; differs: one timer to the deadline instead of daily slices.
"""

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, Field, JsonValue

from activities.calls import LONGEST_DELAY_S
from activities.sdk import Call, Inputs, PluginError, StillRunning, plugin

DEFAULT_TIMEZONE: Final = "Asia/Shanghai"

_SECONDS: Final = re.compile(r"[0-9]{1,10}")
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}", re.ASCII)
_FORMAT_HELP: Final = "give seconds from now ('90') or 'YYYY-MM-DD HH:MM:SS' in the project's time"
_NEARLY_S: Final = 1.0


class TimerInputs(Inputs):
    """How long, and whether a time that has passed is a mistake."""

    model_config = ConfigDict(extra="ignore")

    bk_timing: str = Field(
        description="Seconds from now, or `YYYY-MM-DD HH:MM:SS` in the project's time zone",
        json_schema_extra={"pattern": rf"^\s*({_SECONDS.pattern}|{_TIME.pattern})\s*$"},
    )
    force_check: bool = Field(default=True, description="A time that has passed is a failure")


class TimingError(ValueError):
    """`bk_timing` names no time to wait for."""


def deadline_of(bk_timing: str, now: datetime, timezone: str, *, force_check: bool) -> datetime:
    """Return when a timer ends, in UTC; `now` where its time has passed and that is allowed.

    Args:
        bk_timing: digits (seconds from now), or `YYYY-MM-DD HH:MM:SS` in `timezone`.
        now: aware.
        timezone: IANA name of the project's time zone.
        force_check: refuse a time that is not in the future.

    Raises:
        TimingError: for other text, an unknown zone, or a time that has passed.
    """
    text = bk_timing.strip()
    if _SECONDS.fullmatch(text):
        return _moment(now.timestamp() + int(text), text)
    if not _TIME.fullmatch(text):
        raise TimingError(f"bk_timing {bk_timing!r} is no time; {_FORMAT_HELP}")
    deadline = _local_time(text, timezone)
    if deadline > now:
        return deadline
    if force_check:
        raise TimingError(
            f"bk_timing {text!r} ({timezone}) has passed; give a later time or turn force_check off"
        )
    return now.astimezone(UTC)


def _local_time(text: str, timezone: str) -> datetime:
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise TimingError(f"time zone {timezone!r} is unknown; use an IANA name") from None
    try:
        local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise TimingError(f"bk_timing {text!r} is no date; {_FORMAT_HELP}") from None


def _moment(timestamp: float, text: str) -> datetime:
    try:
        return datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError):
        raise TimingError(f"bk_timing {text!r} is beyond the calendar; give less") from None


@plugin(
    "sleep_timer",
    name="Timer",
    group="Core",
    idempotent=True,
    inline="timer",
    inline_input="bk_timing",
)
async def sleep_timer(call: Call[TimerInputs]) -> None:
    """Wait; the workflow does it itself, so this runs only where there is none."""
    zone = str(call.context.get("timezone") or DEFAULT_TIMEZONE)
    given = call.inputs
    try:
        deadline = deadline_of(given.bk_timing, call.now(), zone, force_check=given.force_check)
    except TimingError as error:
        raise PluginError(str(error)) from error
    _wait_until(deadline.timestamp(), call.now())


@sleep_timer.poll
async def _(call: Call[TimerInputs], handle: JsonValue) -> None:
    if isinstance(handle, int | float):
        _wait_until(handle, call.now())


def _wait_until(deadline: float, now: datetime) -> None:
    left_s = deadline - now.timestamp()
    if left_s >= _NEARLY_S:
        raise StillRunning(deadline, min(left_s, LONGEST_DELAY_S))
