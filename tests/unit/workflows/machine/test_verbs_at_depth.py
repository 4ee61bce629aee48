"""Each verb does the same wherever its node stands: in the root flow or inside subflows."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest

from activities.contract import Polling, Waiting
from tests.helpers.plans import flow, plan, subflow, variable
from tests.helpers.runs import Run
from translator.plan import Flow
from workflows.machine.events import VerbName

DEPTHS: Final = ((), ("sub1",), ("sub1", "sub2", "sub3"))
NEVER: Final = {f"{gate}-{to}": "1 == 2" for gate in ("xor1", "some1") for to in ("a", "b")}


def inside(depth: tuple[str, ...], inner: Flow) -> Run:
    """A run of a flow that stands inside subflows."""
    for name in reversed(depth):
        inner = flow(f"{name} after", nodes=[subflow(name, inner)])
    return Run(plan("x").model_copy(update={"flow": inner}))


def lost(run: Run, path: str) -> None:
    """Let the node's call fail."""
    run.lose(path)


def waits(run: Run, path: str) -> None:
    """Let the node wait for its callback."""
    run.answer(path, Waiting(handle="job"))


def polls(run: Run, path: str) -> None:
    """Let the node's work go on outside."""
    run.answer(path, Polling(handle="job", after_s=1))


def stands(run: Run, path: str) -> None:
    """Leave the node as it is."""


class Case(NamedTuple):
    """A node of a flow, how it is brought to where the verb applies, and its status afterwards."""

    node: str
    inner: Flow
    prepare: Callable[[Run, str], None]
    verb: VerbName
    fields: dict[str, Any]
    status: str


CASES: Final = [
    Case("a", flow("a b"), lost, "retry", {"set_inputs": {"x": 1}}, "running"),
    Case("a", flow("a b"), lost, "skip", {}, "skipped"),
    Case("a", flow("a b"), stands, "force_fail", {"reason": "slow"}, "failed"),
    Case("a", flow("a b"), polls, "force_fail", {}, "failed"),
    Case("a", flow("a b"), waits, "callback", {"data": {"ok": 1}, "token": 1}, "running"),
    Case("b", flow("a b"), stands, "pause_node", {}, "suspended"),
    Case("b", flow("a b"), stands, "resume_node", {}, "ready"),
    Case("timer1", flow("timer1 b"), stands, "set_timer", {"data": 5}, "running"),
    Case("a", flow("a b"), waits, "rerun_from", {}, "running"),
    Case(
        "xor1",
        flow("xor1 a end", "xor1 b end", conditions=NEVER),
        stands,
        "choose",
        {"branches": ("xor1-b",)},
        "skipped",
    ),
    Case(
        "some1",
        flow("some1 a join1", "some1 b join1", "join1 end", conditions=NEVER),
        stands,
        "choose",
        {"branches": ("some1-a", "some1-b")},
        "skipped",
    ),
]
NAMES: Final = [f"{case.verb} {case.prepare.__name__} {case.node}" for case in CASES]


@pytest.mark.parametrize("depth", DEPTHS, ids=["root", "one deep", "three deep"])
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_verb_does_the_same_at_any_depth(depth: tuple[str, ...], case: Case) -> None:
    run, path = inside(depth, case.inner), "/".join([*depth, case.node])
    case.prepare(run, path)

    assert run.do(case.verb, path, **case.fields) == ""

    assert run.status(path) == case.status
    assert run.state.journal[-1].node == path
    ends_it = case.verb in ("force_fail", "rerun_from") and case.prepare is not stands
    assert [stop.handle for stop in run.stops] == (["job"] if ends_it else [])


@pytest.mark.parametrize("depth", DEPTHS[1:], ids=["one deep", "three deep"])
@pytest.mark.parametrize("verb", ["retry", "skip", "pause", "revoke"])
def test_a_subflow_is_operated_as_a_whole(depth: tuple[str, ...], verb: VerbName) -> None:
    run, path = inside(depth, flow("fork1 a join1", "fork1 b join1", "join1 end")), "/".join(depth)
    polls(run, f"{path}/b")
    lost(run, f"{path}/a")

    assert run.do(verb, path) == ""

    after = {"retry": "running", "skip": "skipped", "pause": "suspended", "revoke": "failed"}
    assert run.status(path) == after[verb]
    assert [stop.handle for stop in run.stops] == ([] if verb == "pause" else ["job"])
    entries = run.state.nodes[f"{path}/a"].entry
    assert entries == (2 if verb == "retry" else 1)


@pytest.mark.parametrize("depth", DEPTHS, ids=["root", "one deep", "three deep"])
def test_a_callback_or_result_of_an_earlier_attempt_moves_no_later_one(
    depth: tuple[str, ...],
) -> None:
    run, path = inside(depth, flow("a b")), "/".join([*depth, "a"])
    waits(run, path)
    run.do("force_fail", path)
    run.do("retry", path)

    assert run.do("callback", path, data=1, token=1) == "stale"

    assert run.phase(path) == "calling"


@pytest.mark.parametrize("depth", DEPTHS[1:], ids=["one deep", "three deep"])
def test_variables_of_a_subflow_are_set_at_its_depth(depth: tuple[str, ...]) -> None:
    run, path = inside(depth, flow("a b", variables=[variable("v", 0)])), "/".join(depth)

    assert run.do("set_variables", path, values={"v": 5}) == ""
    assert run.do("set_variables", values={"v": 5}) == "wrong_value"

    assert run.state.written[path]["v"] == 5
