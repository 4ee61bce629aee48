"""From when to when a shield holds, as a form says it. Pure.

Source: plugins' reference, section 3.9; differs: times are of the project's time zone instead of a
server's, and what is no time is an error that says so.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import JsonValue

from activities.blueking.form import Fields
from activities.calls import PluginError

FORMAT: Final = "%Y-%m-%d %H:%M:%S"
DEFAULT_TIMEZONE: Final = "Asia/Shanghai"

_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}\s\d{2}:\d{2}:\d{2}")


class Period(NamedTuple):
    """Begin and end as the platform takes them."""

    begin: str
    end: str


def given_period(form: Fields, begin: str, end: str) -> Period:
    """Return the period of two fields, which the platform itself checks."""
    return Period(form.line(begin), form.line(end))


def chosen_period(form: Fields, now: datetime, context: Mapping[str, JsonValue]) -> Period:
    """Return the period of a form that offers begin and end, or a duration in minutes.

    Raises:
        PluginError: a field that the choice needs is no time, or no number.
    """
    begin = "bk_alarm_shield_begin_time"
    match form.integer("bk_alarm_time_type"):
        case 0:
            last = _moment(form, "bk_alarm_shield_end_time")
            return Period(_moment(form, begin), last)
        case 1:
            return _lasting(form, now.astimezone(_zone(context)).strftime(FORMAT))
        case 2:
            return _lasting(form, _moment(form, begin))
        case other:
            raise PluginError(
                f"bk_alarm_time_type is {other}; 0 (begin and end), 1 (from now) "
                "or 2 (from begin) is wanted"
            )


def _moment(form: Fields, key: str) -> str:
    """Return the first time in a field."""
    found = _MOMENT.search(form.text(key))
    if found is None:
        raise PluginError(f"{key} is {form.text(key)!r}; a time as 2024-01-31 08:00:00 is wanted")
    return found.group()


def _lasting(form: Fields, begin: str) -> Period:
    minutes = form.integer("bk_alarm_shield_duration")
    try:
        first = datetime.strptime(begin, FORMAT)  # noqa: DTZ007  a wall clock's time, as it is sent
        return Period(begin, (first + timedelta(minutes=minutes)).strftime(FORMAT))
    except (ValueError, OverflowError):
        raise PluginError(f"{minutes} minutes from {begin!r} is no time") from None


def _zone(context: Mapping[str, JsonValue]) -> ZoneInfo:
    name = str(context.get("timezone") or DEFAULT_TIMEZONE)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise PluginError(f"time zone {name!r} is unknown; use an IANA name") from None
