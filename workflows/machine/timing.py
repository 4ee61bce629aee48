"""When a timer node ends: the text of its input turned into a moment."""

import datetime as dt
import zoneinfo

from pydantic import JsonValue

from translator.values import shown

DATE_FORMAT = "%Y-%m-%d %H:%M:%S"
FARTHEST_S = 100 * 365 * 86_400
"""Farther ahead no timer reaches: the server counts nanoseconds."""


def deadline_of(timing: JsonValue, now: float, timezone: str, *, allow_past: bool) -> float:
    """Return the end of a timer, in seconds since the epoch.

    Digits are seconds from `now`; `YYYY-MM-DD HH:MM:SS` is a time in `timezone`.

    Source: bk-sops sleep_timer; differs: seconds may carry a fraction.

    Raises:
        ValueError: for anything else, and for a past date unless `allow_past`; the text says why.
    """
    text = str(timing).strip()
    seconds = _seconds(text)
    at = now + float(seconds) if seconds else _read_wall(text, timezone)
    if at < now and not allow_past:
        raise ValueError(f"{shown(text)} ({timezone}) lies in the past")
    if at > now + FARTHEST_S:
        raise ValueError(f"{shown(text)} lies more than 100 years ahead")
    return at


def _read_wall(text: str, timezone: str) -> float:
    try:
        wall = dt.datetime.strptime(text, DATE_FORMAT)  # noqa: DTZ007  the zone follows
    except ValueError:
        raise ValueError(
            f"{shown(text)} is neither a number of seconds nor a time like '2026-01-31 08:00:00'"
        ) from None
    return wall.replace(tzinfo=zoneinfo.ZoneInfo(timezone)).timestamp()


def _seconds(text: str) -> str:
    whole, dot, part = text.partition(".")
    is_number = whole.isdecimal() and whole.isascii() and (not dot or part.isdecimal())
    return text if is_number and len(whole) <= 10 else ""  # noqa: PLR2004  some 300 years
