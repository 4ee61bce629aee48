"""Short names on the page mean the node that they stand for, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workflows.view.view_plans import flow, plan, task
from translator.plan import Plan, Subflow, join_path
from workflows.machine.addressing import find_node
from workflows.machine.program import lay_out
from workflows.machine.view.names import Names

LONG = "n635e9dbdd4731b7922d2285032e873f"
NEAR = "n635e9dbdd4731b7922d2285032e8740"
OTHER = "nab4fa758628344f9d7c3435d62571f4"


def nested(*ids: str, inner: tuple[str, ...] = (), around: str = OTHER) -> Plan:
    """Tasks of these ids in a row, then a subflow with tasks in it where there are some."""
    after = [*ids[1:], around if inner else "end"]
    nodes = [task(key, then) for key, then in zip(ids, after, strict=True)]
    if not inner:
        return plan(*nodes)
    inside = [task(key, then) for key, then in zip(inner, [*inner[1:], "end"], strict=True)]
    return plan(*nodes, Subflow(id=around, next="end", flow=flow(*inside)))


@pytest.mark.parametrize(
    ("shape", "path", "short"),
    [
        (nested("n1"), "n1", "n1"),
        (nested(LONG, OTHER), LONG, "n635e9d"),
        (nested(LONG, NEAR), LONG, "n635e9dbdd4731b7922d2285032e873"),
        (nested("a", inner=(LONG,)), join_path(OTHER, LONG), "n635e9d"),
        (nested("a", inner=(LONG,)), OTHER, OTHER),
        (nested("a", inner=("step",)), join_path(OTHER, "step"), "step"),
        (nested("step", inner=("step",)), join_path(OTHER, "step"), join_path(OTHER, "step")),
        (nested("a"), "gone/and/for/ever", "gone/and/for/ever"),
    ],
    ids=["short", "long", "alike", "inside", "subflow", "own id", "same id twice", "unknown"],
)
def test_a_name_is_as_short_as_may_be(shape: Plan, path: str, short: str) -> None:
    assert Names(shape).short(path) == short


IDS = st.text(st.sampled_from("ab"), min_size=1, max_size=18)


@given(st.lists(IDS, min_size=1, max_size=6, unique=True), st.lists(IDS, max_size=4, unique=True))
def test_a_verb_finds_the_node_that_its_name_was_made_for(ids: list[str], inner: list[str]) -> None:
    shape = nested(*ids, inner=tuple(inner), around="c" * 16)
    names, program = Names(shape), lay_out(shape)

    for path in program.places:
        assert find_node(program, names.short(path)) == path
