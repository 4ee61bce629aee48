"""The work that a node has under way outside: where it can be looked at, and what it is called.

No plugin says so in so many words, so this is a rule on names. A handle that is an object tells by
its `url` and `id`; else the outputs do: the address is `job_inst_url` or the first that ends in
`_url`, the id is `job_inst_id`, `task_id` or the first that ends in `_inst_id`.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from pydantic import JsonValue

from workflows.machine.view.width import clean

Texts: TypeAlias = Mapping[str, JsonValue]

MOST_CHARS: Final = 300
_SCHEMES: Final = ("http://", "https://")


class Outside(NamedTuple):
    """Work outside; "" for what is not known."""

    url: str = ""
    id: str = ""


def outside_of(handle: JsonValue, outputs: Texts) -> Outside:
    """Return what a handle and the outputs known so far tell of the work outside."""
    told = handle if isinstance(handle, dict) else {}
    return Outside(
        url=_address(told.get("url")) or _first(outputs, "job_inst_url", "_url", read=_address),
        id=_word(told.get("id"))
        or _word(outputs.get("job_inst_id"))
        or _first(outputs, "task_id", "_inst_id", read=_word),
    )


def _first(outputs: Texts, name: str, ending: str, *, read: Callable[[JsonValue], str]) -> str:
    """Return what can be read under `name`, else under the first name with the ending."""
    found = [outputs.get(name), *(v for key, v in outputs.items() if key.endswith(ending))]
    return next((text for each in found if (text := read(each))), "")


def _address(value: JsonValue) -> str:
    """Return an address that a person can follow; a plugin's output may be anything."""
    text = _word(value)
    return text if text.startswith(_SCHEMES) and not any(map(str.isspace, text)) else ""


def _word(value: JsonValue) -> str:
    """Return a number or a short text in one line, "" for anything else; a secret is neither."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    shown = str(value)
    return clean(shown) if len(shown) <= MOST_CHARS else ""
