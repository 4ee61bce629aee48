"""Every wrong input of a template is found when it is imported.

`wrong_templates/base.json` is a template without a finding; each row of `wrong.json` changes one
thing in it (`at`, to `value`, or away where there is none) and says what must be found where.
"""

import copy
import json
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import TypeAdapter

from activities.registry import GROUP, discover
from stdops import Diagnostic
from workers.catalog import RegistryCatalog
from workers.importing import examine

FOLDER = Path(__file__).parent / "wrong_templates"
BASE: dict[str, Any] = json.loads((FOLDER / "base.json").read_text("utf-8"))
AWAY = object()


class Wrong(NamedTuple):
    what: str
    at: str
    code: str
    place: str
    value: Any = AWAY


WRONG = TypeAdapter(list[Wrong]).validate_json((FOLDER / "wrong.json").read_bytes())


@cache
def catalog() -> RegistryCatalog:
    core = EntryPoint("builtin", "activities.builtin", GROUP)
    blueking = EntryPoint("blueking", "activities.blueking.plugins:plugins", GROUP)
    return RegistryCatalog(discover([core, blueking]))


def found_in(template: dict[str, Any]) -> tuple[Diagnostic, ...]:
    data = json.dumps(template, ensure_ascii=False).encode()
    return examine(data, "release.json", None, catalog()).diagnostics


def changed(wrong: Wrong) -> dict[str, Any]:
    template = copy.deepcopy(BASE)
    *steps, last = wrong.at.removeprefix("/").split("/")
    part = template
    for step in steps:
        part = part.setdefault(step, {"hook": False, "need_render": True})
    if wrong.value is AWAY:
        del part[last]
    else:
        part[last] = wrong.value
    return template


def test_the_template_that_is_spoilt_has_no_finding() -> None:
    assert found_in(BASE) == ()


def test_there_are_fifty_or_more() -> None:
    assert len(WRONG) >= 50
    assert len({wrong.what for wrong in WRONG}) == len(WRONG)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.what)
def test_what_is_wrong_is_found_where_it_stands(wrong: Wrong) -> None:
    found = [(each.code, each.where.path) for each in found_in(changed(wrong))]

    assert (wrong.code, wrong.place) in found


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.what)
def test_every_finding_says_where_and_how_to_mend_it(wrong: Wrong) -> None:
    for each in found_in(changed(wrong)):
        assert each.where.line
        assert each.fix
