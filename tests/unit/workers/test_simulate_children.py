"""A simulated run starts its children in the same virtual time."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from activities.contract import PluginTraits, RunSettings
from tests.helpers.plans import flow, plan, settings, task, variable
from translator.plan import Child, Flow, Plan, PluginRef, Task
from workers.rehearsal import Attempt, Rehearsed, rehearse


def child(name: str, inner: Flow, **options: Any) -> Task:
    inputs: dict[str, JsonValue] = options.pop("inputs", {})
    return task(name, inputs, plugin="subprocess_plugin", child=Child(flow=inner), **options)


def known() -> RunSettings:
    """Settings that know no plugin but the timer, as for a template of plugins nobody has."""
    traits = PluginTraits(plugin=PluginRef(code="timer"), inline="timer", inline_input="for")
    return settings(traits={"timer/legacy": traits.model_dump()})


async def played(made: Plan, mocks: Mapping[str, Sequence[Attempt]] | None = None) -> Rehearsed:
    return await rehearse(made, known(), mocks or {}, {})


async def test_the_nodes_of_children_are_seen_by_their_paths_and_times() -> None:
    inner = flow("p n", nodes=[child("n", flow("deep")), task("p")], variables=[variable("v")])
    slow = {"c/p": [Attempt(outcome="poll", after=7)]}

    seen = await played(plan("c z", nodes=[child("c", inner)]), slow)

    rows = {row.path: (row.at, row.ended) for row in seen.rows if row.kind == "task"}
    assert rows == {"c": (0, 7), "c/p": (0, 7), "c/n": (7, 7), "c/n/deep": (7, 7), "z": (7, 7)}
    assert (seen.state, seen.elapsed_s) == ("finished", 7)


async def test_a_child_gives_what_it_was_given() -> None:
    inner = flow("n", variables=[variable("v", "own")], outputs=["v"])
    held = child("c", inner, inputs={"v": "${x}"}, to={"${v}": "y"})

    seen = await played(
        plan("c", nodes=[held], variables=[variable("x", 5), variable("y")], outputs=["y"])
    )

    assert seen.outputs == {"y": 5}


async def test_a_failure_inside_stands_with_the_node_that_failed() -> None:
    made = plan("c", nodes=[child("c", flow("n"))])

    seen = await played(made, {"c/n": [Attempt(outcome="fail", error="boom")]})

    assert seen.state == "failed"
    assert [(one.path, one.verbs[:2]) for one in seen.standing] == [
        ("c", ("retry", "skip")),
        ("c/n", ("retry", "skip")),
    ]
    assert "node 'N' (n) failed: boom" in seen.standing[0].reason


async def test_nodes_of_a_child_that_wait_are_called_back() -> None:
    made = plan("c z", nodes=[child("c", flow("n"))])

    seen = await played(made, {"n": [Attempt(outcome="wait", callback={"ok": True}, after=3)]})

    assert (seen.state, seen.elapsed_s) == ("finished", 3)


async def test_an_automatic_retry_starts_a_second_child() -> None:
    retried = child("c", flow("n"), auto_retry={"times": 1, "interval_s": 10})
    attempts = [Attempt(outcome="fail"), Attempt()]

    seen = await played(plan("c", nodes=[retried]), {"c/n": attempts})

    assert (seen.state, seen.elapsed_s) == ("finished", 10)
    assert [row.path for row in seen.rows].count("c/n") == 2
