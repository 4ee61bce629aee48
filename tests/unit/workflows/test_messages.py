from typing import Any

import pytest

from workflows.machine.events import Verb, VerbName
from workflows.machine.verbs import VERBS
from workflows.messages import (
    MESSAGES,
    TEACHING,
    FlowMessage,
    Message,
    RunInput,
    VerbMessage,
    bare_key,
    node_named,
    read_message,
    to_verb,
)


def read(name: VerbName, arg: Any) -> VerbMessage:
    """The message, which must be a good one."""
    message = read_message(MESSAGES[name], arg)
    assert isinstance(message, VerbMessage), message
    return message


def verb(name: VerbName, **arg: Any) -> Verb:
    """The verb that a message on node `n` becomes."""
    return to_verb(name, read(name, arg), "n")


def test_every_verb_has_a_message_and_a_line_that_teaches_it() -> None:
    assert list(MESSAGES) == list(TEACHING)
    assert set(MESSAGES) == set(VERBS)


@pytest.mark.parametrize("arg", [[], "x", 3, True, [{}]])
@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_anything_but_an_object_is_a_problem_and_no_exception(name: Any, arg: Any) -> None:
    problem = read_message(MESSAGES[name], arg)

    assert isinstance(problem, str)
    assert problem.startswith("one JSON object is expected, got ")


@pytest.mark.parametrize("arg", [None, {}])
@pytest.mark.parametrize("name", ["pause", "resume", "revoke"])
def test_nothing_at_all_means_the_whole_run(name: Any, arg: Any) -> None:
    assert node_named(read(name, arg)) == ""


@pytest.mark.parametrize("name", ["skip", "retry", "choose", "force_fail", "callback", "set_timer"])
def test_a_verb_on_a_node_needs_a_node(name: Any) -> None:
    assert read_message(MESSAGES[name], {}) == "field 'node' is missing"


def test_an_unknown_field_is_named() -> None:
    assert read_message(FlowMessage, {"nodes": "a"}) == "unknown field 'nodes'"


def test_a_wrong_type_is_named_with_its_field() -> None:
    problem = read_message(FlowMessage, {"dry_run": [1]})

    assert isinstance(problem, str)
    assert problem.startswith("dry_run: ")


def test_only_some_of_many_problems_are_told() -> None:
    problem = read_message(FlowMessage, {f"x{at}": 1 for at in range(20)})

    assert isinstance(problem, str)
    assert problem.count("unknown field") == 5


@pytest.mark.parametrize(
    ("name", "arg", "fields"),
    [
        ("retry", {"set": {"x": 1}}, {"set_inputs": {"x": 1}, "inputs": None}),
        ("retry", {"inputs": {}}, {"inputs": {}, "set_inputs": None}),
        ("retry", {"pass": True}, {"this_pass": True}),
        ("choose", {"branch": "e"}, {"branches": ("e",)}),
        ("choose", {"branches": ["e", "f"]}, {"branches": ("e", "f")}),
        ("callback", {"data": [1], "token": 2}, {"data": [1], "token": 2}),
        ("set_timer", {"seconds": 5}, {"data": 5.0}),
        ("set_timer", {"at": "2026-01-31 08:00:00"}, {"data": "2026-01-31 08:00:00"}),
        ("force_fail", {"reason": "r", "operator": "li"}, {"reason": "r", "operator": "li"}),
        ("skip", {"request_id": "r1"}, {"request_id": "r1"}),
    ],
)
def test_a_message_becomes_a_verb(name: VerbName, arg: Any, fields: dict[str, Any]) -> None:
    made = verb(name, node="n", **arg)

    assert (made.name, made.node) == (name, "n")
    assert {key: getattr(made, key) for key in fields} == fields


def test_variables_are_named_with_or_without_their_wrapper() -> None:
    message = read("set_variables", {"values": {"${v}": 1, "w": 2}, "subflow": "sub1"})

    assert to_verb("set_variables", message, "sub1").values == {"v": 1, "w": 2}
    assert node_named(message) == "sub1"


@pytest.mark.parametrize(("key", "bare"), [("${v}", "v"), ("v", "v"), ("${v", "${v"), ("", "")])
def test_a_key_loses_only_a_whole_wrapper(key: str, bare: str) -> None:
    assert bare_key(key) == bare


def test_the_input_of_a_run_survives_the_wire() -> None:
    given = RunInput(template="t", version=3, inputs={"v": [1]}, on_failure="fail")

    assert RunInput.model_validate_json(given.model_dump_json(exclude_defaults=True)) == given


def test_a_message_is_a_value_that_nobody_changes() -> None:
    assert Message.model_config.get("frozen") is True
