"""A task that starts a run of its own keeps the flow that it runs, checked like any other."""

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from pydantic import JsonValue

from tests.helpers.shared import FIXTURES, needs_shared
from translator.check import check
from translator.compile import compile_template
from translator.parse import Parsed, parse
from translator.plan import Child, Literal, Plan, Ref, Task


def constant(key: str, **more: Any) -> dict[str, Any]:
    made = {"key": key, "name": key, "show_type": "show", "source_type": "custom", "index": 0}
    return {**made, "source_info": {}, "custom_type": "input", "value": "own", **more}


def node(code: str = "c", **inputs: Any) -> dict[str, Any]:
    data = {key: {"hook": False, "need_render": False, "value": v} for key, v in inputs.items()}
    return {
        "type": "ServiceActivity",
        "component": {"code": code, "version": "1.0.0", "data": data},
    }


def child(**value: Any) -> dict[str, Any]:
    return node("subprocess_plugin", subprocess=value)


def tree(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a chain of the nodes `n0`, `n1`, ..."""
    chain = ["s", *(f"n{number}" for number in range(len(nodes))), "e"]
    flows = {
        f"f{i}": {"id": f"f{i}", "source": a, "target": b}
        for i, (a, b) in enumerate(pairwise(chain))
    }
    activities = {
        f"n{i}": {
            "id": f"n{i}",
            "name": f"N{i}",
            "incoming": [f"f{i}"],
            "outgoing": f"f{i + 1}",
            **each,
        }
        for i, each in enumerate(nodes)
    }
    last = [f"f{len(nodes)}"]
    return {
        "start_event": {"id": "s", "type": "EmptyStartEvent", "name": "", "outgoing": "f0"},
        "end_event": {"id": "e", "type": "EmptyEndEvent", "name": "", "incoming": last},
        "activities": activities,
        "gateways": {},
        "flows": flows,
        "constants": {},
        "outputs": [],
        **more,
    }


def parsed(value: Any, **more: Any) -> Parsed:
    return parse(json.dumps(value).encode(), "t.json", **more)


def found(value: Any, **more: Any) -> list[tuple[str, str, str]]:
    """Parse and check; return code, severity and place of every finding."""
    read = parsed(value, **more)
    all_of = [*read.diagnostics, *(d for each in read.templates for d in check(each))]
    return [(each.code, each.severity, each.where.path) for each in all_of]


def compiled(value: Any, **more: Any) -> Plan:
    read = parsed(value, **more)
    assert [each for each in read.diagnostics if each.severity == "error"] == []
    return compile_template(read.templates[0])


def held(plan: Plan, node_id: str = "n0") -> tuple[Task, Child]:
    task = plan.flow.nodes[node_id]
    assert isinstance(task, Task)
    assert task.child is not None
    return task, task.child


class Library:
    def __init__(self, **trees: Any) -> None:
        self.trees = trees
        self.asked: list[tuple[str, str | None]] = []

    def find(self, template_id: str, version: str | None) -> Mapping[str, JsonValue] | None:
        self.asked.append((template_id, version))
        return self.trees.get(template_id)


def test_the_pipeline_of_a_task_becomes_its_child() -> None:
    inner = tree(node(), constants={"${v}": constant("${v}")}, outputs=["${v}"])

    task, kept = held(
        compiled(tree(child(pipeline=inner, subprocess_name="Deploy", template_id="t7")))
    )

    assert (kept.name, kept.template_key, list(kept.flow.nodes)) == (
        "Deploy",
        "t7",
        ["s", "n0", "e"],
    )
    assert (kept.flow.outputs, task.plugin.code, task.raw) == (("v",), "subprocess_plugin", ())


def test_shown_variables_that_are_rendered_are_the_parents_to_give() -> None:
    constants = {
        "${given}": constant("${given}", value="${x}"),
        "${own}": constant("${own}", value="${x}", need_render=False),
        "${hidden}": constant("${hidden}", value="${x}", show_type="hide"),
    }
    inner = tree(node(), constants=constants)

    task, _ = held(compiled(tree(child(pipeline=inner), constants={"${x}": constant("${x}")})))

    assert (task.inputs, task.reads) == ({"given": Ref(key="x")}, ("x",))


def test_what_is_hooked_to_a_computed_variable_of_the_parent_is_not_computed_twice() -> None:
    ip: dict[str, Any] = {"custom_type": "ip", "source_tag": "var_ip_picker.ip_picker"}
    inner = tree(node(), constants={"${ip}": constant("${ip}", value="${up}", **ip)})
    outer = {"${up}": constant("${up}", value={}, source_info={"n0": ["${ip}"]}, **ip)}

    task, _ = held(compiled(tree(child(pipeline=inner), constants=outer)))

    assert task.inputs == {"ip": Ref(key="up")}


def test_subprocesses_and_children_inside_a_child_are_unfolded() -> None:
    call: dict[str, Any] = {"type": "SubProcess", "template_id": "b", "constants": {}}
    rows = [
        {
            "id": "a",
            "name": "a",
            "pipeline_tree": tree(child(pipeline=tree(call, child(template_id="b")))),
        },
        {"id": "b", "name": "b", "pipeline_tree": tree(node())},
    ]

    _, kept = held(compiled(rows))

    assert [each.kind for each in kept.flow.nodes.values()] == ["start", "task", "subflow", "end"]
    inner = kept.flow.nodes["n1"]
    assert isinstance(inner, Task)
    assert inner.child is not None


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        ({"template": "deploy", "version": 3}, ("deploy", "3")),
        ({"template": "deploy"}, ("deploy", None)),
        ({"template_id": "deploy", "version": "x", "always_use_latest": True}, ("deploy", None)),
    ],
)
def test_a_child_that_only_names_its_template_is_looked_up(value: Any, asked: Any) -> None:
    library = Library(deploy=tree(node(), constants={"${v}": constant("${v}")}))

    task, kept = held(
        compiled(tree(child(**value, constants={"${v}": {"value": 5}})), library=library)
    )

    assert library.asked == [asked]
    assert (kept.template_key, task.inputs) == ("deploy", {"v": Literal(value=5)})


AT = "/activities/n0/component/data/subprocess"


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (child(), ("SOP008", "error", f"{AT}/value")),
        (node("subprocess_plugin"), ("SOP008", "error", "/activities/n0/component/data")),
        (node("subprocess_plugin", subprocess="${x}"), ("SOP007", "error", f"{AT}/value")),
        (child(pipeline=7), ("SOP007", "error", f"{AT}/value/pipeline")),
        (child(template="nope"), ("SOP020", "error", f"{AT}/value/template")),
    ],
    ids=["nothing", "no input", "text", "number", "unknown"],
)
def test_a_child_without_a_flow_is_an_error_at_its_place(task: Any, expected: Any) -> None:
    assert expected in found(tree(task))


def test_findings_inside_a_child_name_their_place() -> None:
    inner = tree(node(text=1), outputs=["${nope}"])

    told = found(tree(child(pipeline=inner)))

    assert ("SOP207", "warning", f"{AT}/value/pipeline/outputs") in told


def test_templates_that_start_each_other_are_an_error() -> None:
    rows = [
        {"id": "a", "name": "a", "pipeline_tree": tree(child(template_id="b"))},
        {"id": "b", "name": "b", "pipeline_tree": tree(child(template_id="a"))},
    ]

    assert {code for code, severity, _ in found(rows) if severity == "error"} == {"SOP021"}


def test_an_engine_tree_keeps_a_web_tree_as_a_child() -> None:
    inner = tree(node())
    task = {
        "type": "ServiceActivity",
        "component": {
            "code": "subprocess_plugin",
            "inputs": {"subprocess": {"type": "plain", "value": {"pipeline": inner}}},
        },
    }
    outer = tree(task)
    outer["data"] = {"inputs": {}, "outputs": []}

    _, kept = held(compiled({k: v for k, v in outer.items() if k not in ("constants", "outputs")}))

    assert list(kept.flow.nodes) == ["s", "n0", "e"]


@needs_shared
def test_a_converted_template_runs_what_the_subprocess_held() -> None:
    plans: dict[str, Plan] = {}
    for name in ("before", "after"):
        data = (FIXTURES / "web" / f"independent_subprocess_{name}.web.json").read_bytes()
        read = parse(data, f"{name}.json")
        assert [
            d for d in (*read.diagnostics, *check(read.templates[0])) if d.severity == "error"
        ] == []
        plans[name] = compile_template(read.templates[0])

    [subflow] = [n for n in plans["before"].flow.nodes.values() if n.kind == "subflow"]
    _, kept = held(plans["after"], subflow.id)

    assert kept.flow == subflow.flow
