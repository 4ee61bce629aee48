"""A verb that is given on to a child arrives there as it was meant."""

from dataclasses import replace
from typing import Any

import pytest

from workflows.machine.events import Verb, VerbName
from workflows.messages import read_request, to_verb, wire_of

MEANT: list[tuple[VerbName, dict[str, Any]]] = [
    ("pause", {}),
    ("retry", {"set_inputs": {"a": 1}, "this_pass": True}),
    ("retry", {"inputs": {"a": None}}),
    ("skip", {"this_pass": None}),
    ("skip", {"this_pass": False}),
    ("choose", {"branches": ("x", "y")}),
    ("callback", {"data": "", "token": 2}),
    ("set_timer", {"data": "2026-01-31 08:00:00"}),
    ("set_timer", {"data": 60}),
    ("set_variables", {"values": {"v": None}}),
]


@pytest.mark.parametrize(("name", "fields"), MEANT, ids=[name for name, _ in MEANT])
def test_a_verb_survives_the_way_to_a_child(name: VerbName, fields: dict[str, Any]) -> None:
    verb = Verb(name, "inner", client="7@host", reason="why", request_id="r1", **fields)

    request = read_request(name, wire_of(verb))

    assert request is not None
    assert not isinstance(request.message, str), request.message
    arrived = to_verb(request, request.message, "inner")
    assert arrived == replace(verb, operator="7@host", client="")
