import pytest
from pydantic import JsonValue

from tests.helpers.plans import flow, variable
from translator.plan import Literal, Ref, Splice
from workflows.inputs import read_inputs

DECLARED = [
    variable("v", "old"),
    variable("w", "${v}"),
    variable("x", kind="output"),
    variable("y", kind="lazy", code="ip"),
]
FLOW = flow("n", variables=DECLARED)


@pytest.mark.parametrize("name", ["v", "${v}"])
def test_a_variable_is_given_by_its_key_with_or_without_the_wrapper(name: str) -> None:
    read = read_inputs(FLOW, {name: [1]})

    assert read.problems == ()
    assert read.variables["v"].value == Literal(value=[1])


@pytest.mark.parametrize(
    ("key", "given", "kind", "value"),
    [
        ("v", "${w}", "splice", Ref(key="w")),
        ("v", "to ${w}", "splice", Splice(parts=("to ", Ref(key="w")))),
        ("w", "plain now", "plain", Literal(value="plain now")),
        ("y", "10.0.0.1", "lazy", Literal(value="10.0.0.1")),
    ],
)
def test_a_value_is_read_as_the_variable_reads_it(
    key: str, given: str, kind: str, value: object
) -> None:
    made = read_inputs(FLOW, {key: given}).variables[key]

    assert (made.kind, made.value) == (kind, value)


def test_every_problem_is_told_at_once() -> None:
    read = read_inputs(FLOW, {"x": 1, "vv": 2, "v": 3})

    assert list(read.variables) == ["v"]
    assert read.problems == (
        "variable 'x' is the output of a node; it cannot be given",
        "the template has no variable 'vv'; did you mean 'v'?",
    )


def test_an_unknown_name_like_none_lists_those_there_are() -> None:
    assert read_inputs(FLOW, {"nothing": 1}).problems == (
        "the template has no variable 'nothing'; it has v, w, y",
    )


def test_a_template_without_variables_says_so() -> None:
    assert read_inputs(flow("n"), {"v": 1}).problems == (
        "the template has no variable 'v'; it has none",
    )


OPTIONS = '[{"text": "One", "value": "1"}, {"text": "Two", "value": "2"}]'
TYPED = flow(
    "n",
    variables=[
        variable("count", 1, custom_type="int", name="How many"),
        variable("ip", "", pattern=r"^\d+\.\d+$"),
        variable("pw", "", custom_type="password", secret=True, pattern="^.{8}$"),
        variable("hidden", "", shown=False),
        variable("words", "", pattern="^(a+)+$"),
        variable(
            "pick",
            {"meta_data": OPTIONS, "info_value": "1"},
            kind="lazy",
            code="text_value_select",
            custom_type="text_value_select",
        ),
    ],
)


def problem(**given: JsonValue) -> str:
    (only,) = read_inputs(TYPED, given).problems
    return only


def test_a_value_of_the_wrong_type_names_variable_value_and_need() -> None:
    assert problem(count="five") == (
        "variable 'count' (How many) is given 'five', but needs a whole number such as 5; "
        "give it that"
    )


def test_a_value_must_match_the_pattern_of_its_variable() -> None:
    assert read_inputs(TYPED, {"ip": "1.2"}).problems == ()
    assert "'1-2', but needs text that matches '^" in problem(ip="1-2")


def test_a_secret_is_never_shown_nor_its_pattern() -> None:
    told = problem(pw="hunter2")

    assert "hunter2" not in told
    assert "8" not in told


def test_a_choice_must_be_one_of_the_options() -> None:
    assert problem(pick="3").endswith("is given '3', but needs one of '1', '2'; give it that")
    assert "needs one of '1', '2'" in problem(pick=["1", "3"])


def test_the_pattern_of_a_choice_is_one_that_nobody_meant() -> None:
    chosen = variable("k", "", kind="lazy", code="select", custom_type="select", pattern="^.+$")

    assert read_inputs(flow("n", variables=[chosen]), {"k": ""}).problems == ()


@pytest.mark.parametrize("given", ["2", ["1", "2"], 2, ""])
def test_a_choice_keeps_the_options_of_its_variable(given: JsonValue) -> None:
    made = read_inputs(TYPED, {"pick": given}).variables["pick"]

    assert made.value == Literal(value={"meta_data": OPTIONS, "info_value": given})


def test_a_value_that_refers_to_another_variable_is_not_checked() -> None:
    assert read_inputs(TYPED, {"count": "${ip}", "ip": "1.${count}"}).problems == ()


def test_a_hidden_variable_may_be_given() -> None:
    assert read_inputs(TYPED, {"hidden": "x"}).problems == ()


def test_a_pattern_that_may_take_too_long_is_passed_over_with_a_note() -> None:
    read = read_inputs(TYPED, {"words": "a" * 40 + "!"})

    assert read.problems == ()
    (note,) = read.notes
    assert note == (
        "variable 'words' was not compared with its pattern '^(a+)+$': it cannot be read here, "
        "or may take too long"
    )


def deep(levels: int) -> JsonValue:
    made: JsonValue = "x"
    for _ in range(levels):
        made = [made]
    return made


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (float("nan"), "the number nan, which JSON cannot hold"),
        ({"a": [float("-inf")]}, "the number -inf, which JSON cannot hold"),
        ("a\ud800", "half of a surrogate pair, which no text may hold"),
        (deep(101), "lists or objects nested more than 100 deep"),
    ],
)
def test_a_value_that_no_run_holds_is_refused(value: JsonValue, what: str) -> None:
    assert problem(hidden=value) == f"variable 'hidden' is given {what}; give it something else"


def test_a_value_of_a_megabyte_is_taken_as_it_is() -> None:
    text = "x" * 1_000_000

    assert read_inputs(TYPED, {"hidden": text}).variables["hidden"].value == Literal(value=text)


def test_a_name_that_is_no_identifier_is_refused_in_one_line() -> None:
    (told,) = read_inputs(TYPED, {"no such\nname\ud800": 1}).problems

    assert told.isprintable()
    told.encode()
