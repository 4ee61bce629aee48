from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.machine.events import Verb, VerbName
from workflows.machine.verbs import VERBS
from workflows.messages import (
    ALIASES,
    MAX_BYTES,
    MESSAGES,
    TEACHING,
    FlowMessage,
    Message,
    NodeMessage,
    Request,
    RunInput,
    Unreadable,
    VerbMessage,
    bare_key,
    node_named,
    read_message,
    read_request,
    to_verb,
    unknown_name,
)

FIELD_NAMES = st.sampled_from(
    sorted({*NodeMessage.model_fields, "set", "pass", "inputs", "branches", "values", "at", "data"})
) | st.text(max_size=3)


def read(name: VerbName, arg: Any) -> VerbMessage:
    """The message, which must be a good one."""
    message = read_message(MESSAGES[name], arg)
    assert isinstance(message, VerbMessage), message
    return message


def verb(name: VerbName, **arg: Any) -> Verb:
    """The verb that a message on node `n` becomes."""
    return to_verb(Request(name, "", client="c"), read(name, arg), "n")


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


@pytest.mark.parametrize("name", ["choose", "force_fail", "callback", "set_timer", "pause_node"])
def test_a_verb_on_a_node_needs_a_node(name: Any) -> None:
    assert read_message(MESSAGES[name], {}) == "field 'node' is missing"


def test_an_unknown_field_is_named() -> None:
    assert read_message(FlowMessage, {"nodes": "a"}) == (
        "unknown field 'nodes'; did you mean 'node'?"
    )


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
        ("retry", {"inputs": {}}, {"inputs": None, "set_inputs": None}),
        ("retry", {"inputs": {"x": 1}}, {"inputs": {"x": 1}, "set_inputs": None}),
        ("retry", {"pass": True}, {"this_pass": True}),
        ("choose", {"branch": "e"}, {"branches": ("e",)}),
        ("choose", {"branches": ["e", "f"]}, {"branches": ("e", "f")}),
        ("callback", {"data": [1], "token": 2}, {"data": [1], "token": 2}),
        ("set_timer", {"seconds": 5}, {"data": 5.0}),
        ("set_timer", {"at": "2026-01-31 08:00:00"}, {"data": "2026-01-31 08:00:00"}),
        ("force_fail", {"reason": "r", "operator": "li"}, {"reason": "r", "operator": "li"}),
        ("set_timer", {"inputs": {"bk_timing": "30"}}, {"data": "30"}),
        ("skip", {"request_id": "r1"}, {"request_id": "r1", "client": "c"}),
    ],
)
def test_a_message_becomes_a_verb(name: VerbName, arg: Any, fields: dict[str, Any]) -> None:
    made = verb(name, node="n", **arg)

    assert (made.name, made.node) == (name, "n")
    assert {key: getattr(made, key) for key in fields} == fields


def test_variables_are_named_with_or_without_their_wrapper() -> None:
    message = read("set_variables", {"values": {"${v}": 1, "w": 2}, "subflow": "sub1"})

    request = Request("set_variables", message)
    assert to_verb(request, message, "sub1").values == {"v": 1, "w": 2}
    assert node_named(message) == "sub1"


@pytest.mark.parametrize(("key", "bare"), [("${v}", "v"), ("v", "v"), ("${v", "${v"), ("", "")])
def test_a_key_loses_only_a_whole_wrapper(key: str, bare: str) -> None:
    assert bare_key(key) == bare


def test_the_input_of_a_run_survives_the_wire() -> None:
    given = RunInput(template="t", version=3, inputs={"v": [1]}, on_failure="fail")

    assert RunInput.model_validate_json(given.model_dump_json(exclude_defaults=True)) == given


def test_a_message_is_a_value_that_nobody_changes() -> None:
    assert Message.model_config.get("frozen") is True


# --- other names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arg", "verb", "fields"),
    [
        ("skip_exg", {"flow_id": "e"}, "choose", {"branches": ("e",)}),
        (
            "skip_cpg",
            {"flow_ids": ["e", "f"], "converge_gateway_id": "j"},
            "choose",
            {"branches": ("e", "f")},
        ),
        ("forced_fail", {"ex_data": "why"}, "force_fail", {"reason": "why"}),
        ("forced_fail", {"reason": "why"}, "force_fail", {"reason": "why"}),
        ("spec_nodes_timer_reset", {"inputs": {"bk_timing": 30}}, "set_timer", {"data": 30}),
        ("pause_subproc", {}, "pause", {}),
        ("resume_subproc", {}, "resume", {}),
        ("retry_subprocess", {}, "retry", {"inputs": None}),
        ("node_callback", {"callback_data": [1]}, "callback", {"data": [1]}),
        ("retry", {"inputs": {"x": 1}}, "retry", {"inputs": {"x": 1}}),
    ],
)
@pytest.mark.parametrize("node", ["node", "node_id"])
def test_names_of_bksops_become_verbs(
    name: str, arg: dict[str, Any], verb: str, fields: dict[str, Any], node: str
) -> None:
    request = read_request(name, {node: "n", **arg}, "c")

    assert request is not None
    assert isinstance(request.message, VerbMessage), request.message
    made = to_verb(request, request.message, "n")
    assert (made.name, made.client) == (verb, "c")
    assert made.alias == (name if name in ALIASES else "")
    assert {key: getattr(made, key) for key in fields} == fields


def test_no_alias_is_a_verb_and_each_stands_for_one() -> None:
    assert not ALIASES.keys() & MESSAGES.keys()
    assert {alias.verb for alias in ALIASES.values()} <= MESSAGES.keys()


@pytest.mark.parametrize("name", ["pause_subproc", "resume_subproc"])
def test_a_subflow_must_be_named_where_the_run_is_not_meant(name: str) -> None:
    request = read_request(name, {})

    assert request is not None
    assert request.message == "field 'node' is missing"


def test_a_field_given_under_both_its_names_is_refused() -> None:
    request = read_request("skip", {"node": "a", "node_id": "b"})

    assert request is not None
    assert request.message == "field 'node' is given twice, also as 'node_id'; give it once"


@pytest.mark.parametrize("name", ["skpi", "skip_exgs", "forced_fial"])
def test_a_near_name_is_hinted_at(name: str) -> None:
    assert read_request(name, {}) is None
    assert "did you mean" in unknown_name("update", name)


# --- whatever comes -----------------------------------------------------------------------------


def test_more_than_a_run_can_carry_is_refused() -> None:
    request = read_request("callback", {"node": "a", "data": "x" * MAX_BYTES})

    assert request is not None
    assert isinstance(request.message, str)
    assert "put the data where the plugin can fetch it" in request.message


@pytest.mark.parametrize("name", ["choose", "set_timer"])
def test_two_answers_to_one_question_are_refused(name: VerbName) -> None:
    both = {"choose": {"branch": "e", "branches": ["f"]}, "set_timer": {"seconds": 1, "at": "x"}}

    problem = read_message(MESSAGES[name], {"node": "n", **both[name]})

    assert isinstance(problem, str)
    assert problem.startswith("give ")


def test_nested_without_end_is_refused() -> None:
    nested: Any = []
    for _ in range(1000):
        nested = [nested]

    problem = read_message(MESSAGES["callback"], {"node": "n", "data": nested})

    assert problem == "the input holds lists or objects nested more than 100 deep"


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(name=st.sampled_from([*MESSAGES, *ALIASES]), arg=ANY_JSON)
def test_any_json_is_a_message_or_a_text_that_can_be_sent(name: str, arg: Any) -> None:
    request = read_request(name, arg)

    assert request is not None
    if isinstance(request.message, str):
        assert request.message.encode("utf-8")
        assert len(request.message) < 2000


@pytest.mark.parametrize("arg", ["", "hello"])
def test_a_text_is_refused_as_what_it_is_and_never_read_as_the_reason(arg: str) -> None:
    request = read_request("pause", arg)

    assert request is not None
    assert request.message == f"one JSON object is expected, got str {arg!r}"


def test_an_input_that_is_no_json_says_so() -> None:
    request = read_request("pause", Unreadable("no JSON (ValueError)"))

    assert request is not None
    assert request.message == "no JSON (ValueError)"
