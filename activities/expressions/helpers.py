"""What templates use and the sandbox's Python lacks, written in that Python.

Each helper is source that runs inside the sandbox, and is only sent along with a fragment that
needs it. `METHODS` and `FUNCTIONS` say which calls are turned into calls of helpers.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

METHODS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "is_integer": "__is_integer",
        "bit_length": "__bit_length",
        "translate": "__translate",
        "timetuple": "__timetuple",
        "isocalendar": "__isocalendar",
        "toordinal": "__toordinal",
        "ctime": "__ctime",
    }
)
"""Methods by name: `x.name(...)` becomes `helper(x, ...)`."""

FUNCTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "str.maketrans": "__maketrans",
        "datetime.datetime.utcnow": "__utcnow",
        "datetime.datetime.today": "__today",
        "datetime.datetime.fromtimestamp": "__fromtimestamp",
        "datetime.datetime.utcfromtimestamp": "__utcfromtimestamp",
        "datetime.date.fromtimestamp": "__datefromtimestamp",
        "datetime.date.fromordinal": "__fromordinal",
        "re.sub": "__sub",
        "re.subn": "__subn",
        "time.ctime": "__timectime",
    }
)
"""Functions by dotted name: a call of `name` becomes a call of the helper."""

SOURCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "__text": f"""
def __text(value):
    if isinstance(value, dict) and isinstance(value.get({"_pipeline_var_str_value"!r}), str):
        return value[{"_pipeline_var_str_value"!r}]
    return str(value)
""",
        "__raw": """
def __raw(value):
    if not isinstance(value, str):
        raise TypeError("only text can stand in a text")
    return value
""",
        "__attribute": """
def __attribute(value, name):
    if isinstance(value, dict) and name in value:
        return value[name]
    return getattr(value, name)
""",
        "__is_integer": """
def __is_integer(value):
    return value == int(value)
""",
        "__bit_length": """
def __bit_length(value):
    return len(bin(abs(value))) - 2 if value else 0
""",
        "__maketrans": """
def __maketrans(first, second=None, dropped=""):
    if second is None:
        return {ord(k) if isinstance(k, str) else k: v for k, v in first.items()}
    if len(first) != len(second):
        raise ValueError("the first two maketrans arguments must have equal length")
    table = {ord(a): ord(b) for a, b in zip(first, second)}
    table.update({ord(c): None for c in dropped})
    return table
""",
        "__translate": """
def __translate(text, table):
    out = []
    for c in text:
        found = table.get(ord(c), c)
        if found is not None:
            out.append(chr(found) if isinstance(found, int) else found)
    return "".join(out)
""",
        "__utcnow": """
import datetime
def __utcnow():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
""",
        "__today": """
import datetime
def __today():
    return datetime.datetime.now()
""",
        "__fromtimestamp": """
import datetime
def __fromtimestamp(seconds, tz=None):
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    moment = epoch + datetime.timedelta(seconds=seconds)
    return moment.astimezone().replace(tzinfo=None) if tz is None else moment.astimezone(tz)
""",
        "__utcfromtimestamp": """
import datetime
def __utcfromtimestamp(seconds):
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
""",
        "__datefromtimestamp": """
import datetime
def __datefromtimestamp(seconds):
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (epoch + datetime.timedelta(seconds=seconds)).astimezone().date()
""",
        "__fromordinal": """
import datetime
def __fromordinal(days):
    return datetime.date(1, 1, 1) + datetime.timedelta(days=days - 1)
""",
        "__toordinal": """
import datetime
def __toordinal(day):
    return (datetime.date(day.year, day.month, day.day) - datetime.date(1, 1, 1)).days + 1
""",
        "__isocalendar": """
def __isocalendar(day):
    return (int(day.strftime("%G")), int(day.strftime("%V")), day.isoweekday())
""",
        "__timetuple": """
import datetime
import time
def __timetuple(day):
    clock = [getattr(day, name, 0) for name in ("hour", "minute", "second")]
    moment = datetime.datetime(day.year, day.month, day.day, *clock)
    return time.gmtime((moment - datetime.datetime(1970, 1, 1)).total_seconds())
""",
        "__ctime": """
def __ctime(day):
    return day.strftime("%a %b ") + str(day.day).rjust(2) + day.strftime(" %H:%M:%S %Y")
""",
        "__timectime": """
import time
def __timectime(seconds=None):
    moment = time.localtime() if seconds is None else time.localtime(seconds)
    return time.asctime(moment)
""",
        "__subn": """
import re
def __subn(pattern, replacement, text, count=0, flags=0):
    found = list(re.compile(pattern, flags).finditer(text))
    found = found[:count] if count else found
    if isinstance(replacement, str):
        return (re.sub(pattern, replacement, text, count=count, flags=flags), len(found))
    out, at = [], 0
    for match in found:
        out += [text[at:match.start()], replacement(match)]
        at = match.end()
    return ("".join([*out, text[at:]]), len(found))
""",
        "__sub": """
import re
def __sub(pattern, replacement, text, count=0, flags=0):
    if isinstance(replacement, str):
        return re.sub(pattern, replacement, text, count=count, flags=flags)
    return __subn(pattern, replacement, text, count, flags)[0]
""",
    }
)
"""The helpers by name."""

FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("re.I", "re.IGNORECASE"), "re.IGNORECASE"),
        **dict.fromkeys(("re.M", "re.MULTILINE"), "re.MULTILINE"),
        **dict.fromkeys(("re.S", "re.DOTALL"), "re.DOTALL"),
        **dict.fromkeys(("re.A", "re.ASCII"), "re.ASCII"),
    }
)
"""Flags of `re` by dotted name, and how one alone reads as text; there they are plain numbers."""

NEEDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"__sub": ("__subn",)})
"""Helpers that call other helpers."""
