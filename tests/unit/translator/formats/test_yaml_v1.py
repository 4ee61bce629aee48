"""YAML v1 documents become the web trees that the real import makes of them, ids apart."""

import functools
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.helpers.shared import FIXTURES, needs_shared
from translator.formats.document import Read
from translator.formats.yaml_v1 import YAML_CODES, read_yaml

START = {"id": "s", "type": "EmptyStartEvent"}
END = {"id": "e", "type": "EmptyEndEvent"}


def task(node_id: str, **more: Any) -> dict[str, Any]:
    return {
        "id": node_id,
        "type": "ServiceActivity",
        "name": node_id.upper(),
        "component": {"code": "c", "data": {}},
        **more,
    }


def document(*nodes: Any, template_id: str = "t", **spec: Any) -> dict[str, Any]:
    return {
        "schema_version": "v1",
        "meta": {"name": "Demo", "id": template_id},
        "spec": {"nodes": list(nodes), **spec},
    }


def read(*documents: Any) -> Read:
    text = "\n---\n".join(json.dumps(each, ensure_ascii=False) for each in documents)
    return read_yaml(text, "demo.yaml", "digest")  # JSON is YAML too


def tree(*nodes: Any, **spec: Any) -> dict[str, Any]:
    result = read(document(START, *nodes, END, **spec))
    assert result.diagnostics == ()
    return result.documents[0].tree


def first_tree(*documents: Any) -> dict[str, Any]:
    return read(*documents).documents[0].tree


def findings(*documents: Any) -> list[tuple[str, str]]:
    return [(found.code, found.where.path) for found in read(*documents).diagnostics]


def test_a_document_carries_what_the_file_says() -> None:
    found = read(document(START, task("a"), END, template_id="t9")).documents[0]

    assert (found.format, found.file, found.digest) == ("yaml", "demo.yaml", "digest")
    assert (found.key, found.id, found.name, found.at) == ("demo", "t9", "Demo", "/0")


def test_a_node_without_next_leads_to_the_one_below() -> None:
    flows = tree(task("a"), task("b"))["flows"]

    assert [(edge["source"], edge["target"]) for edge in flows.values()] == [
        ("s", "a"),
        ("a", "b"),
        ("b", "e"),
    ]


def test_next_may_be_one_text() -> None:
    flows = tree(task("a", next="e"), task("b"))["flows"]

    assert ("a", "e") in [(edge["source"], edge["target"]) for edge in flows.values()]


def test_two_branches_to_one_node_are_two_edges() -> None:
    fork = {"id": "p", "type": "ParallelGateway", "converge_gateway_id": "c", "next": ["c", "c"]}
    made = tree(fork, {"id": "c", "type": "ConvergeGateway"})

    assert len(set(made["gateways"]["p"]["outgoing"])) == 2
    assert made["gateways"]["c"]["incoming"] == made["gateways"]["p"]["outgoing"]


def test_edges_have_the_shapes_of_a_web_tree() -> None:
    made = tree(task("a"))

    assert made["start_event"]["incoming"] == ""
    assert isinstance(made["start_event"]["outgoing"], str)
    assert isinstance(made["activities"]["a"]["incoming"], list)
    assert isinstance(made["activities"]["a"]["outgoing"], str)
    assert made["end_event"]["outgoing"] == ""


def test_defaults_are_those_of_the_import_and_renames_are_undone() -> None:
    node = tree(task("a", ignore_error=True, can_retry=False, can_skip=False, mine=1))["activities"]

    assert node["a"]["error_ignorable"] is True
    assert (node["a"]["retryable"], node["a"]["skippable"], node["a"]["optional"]) == (0, 0, 1)
    assert node["a"]["auto_retry"] == {"enable": False, "times": 0, "interval": 0}
    assert node["a"]["component"]["version"] == "legacy"
    assert node["a"]["mine"] == 1


def test_conditions_go_to_edges_in_their_order() -> None:
    gate = {
        "id": "g",
        "type": "ExclusiveGateway",
        "next": ["a", "e", "b"],
        "conditions": {"b": {"evaluate": "1 == 1", "name": "again"}, "a": {"evaluate": "2 == 2"}},
        "default_condition": {"e": {"name": "else"}},
    }
    made = tree(task("a", next=["g"]), task("b", next=["g"]), gate)
    conditions = made["gateways"]["g"]["conditions"]

    assert [made["flows"][edge]["target"] for edge in conditions] == ["b", "a"]
    assert next(iter(conditions.values())) == {
        "evaluate": "1 == 1",
        "name": "again",
        "tag": "branch_g_b",
    }
    default = made["gateways"]["g"]["default_condition"]
    assert made["flows"][default["flow_id"]]["target"] == "e"


def test_a_field_with_a_key_is_hooked_to_a_variable() -> None:
    data = {"x": {"value": 5, "key": "${x}", "name": "X", "hide": True}, "y": {"value": [1]}}
    made = tree(task("a", component={"code": "c", "data": data}))

    assert made["activities"]["a"]["component"]["data"] == {
        "x": {"hook": True, "value": "${x}"},
        "y": {"hook": False, "value": [1]},
    }
    hooked = made["constants"]["${x}"]
    assert (hooked["value"], hooked["show_type"], hooked["source_tag"]) == (5, "hide", "c.x")
    assert (hooked["source_type"], hooked["source_info"]) == ("component_inputs", {"a": ["x"]})


def test_need_render_of_a_field_is_kept() -> None:
    data = {"x": {"value": "${raw}", "need_render": False}}
    made = tree(task("a", component={"code": "c", "data": data}))

    assert made["activities"]["a"]["component"]["data"]["x"]["need_render"] is False


def test_two_nodes_may_hook_one_variable() -> None:
    output = {"_result": {"key": "${ok}", "value": "dropped"}}
    constants = tree(task("a", output=output), task("b", output=output))["constants"]

    assert constants["${ok}"]["source_info"] == {"a": ["_result"], "b": ["_result"]}
    assert (constants["${ok}"]["source_type"], constants["${ok}"]["value"]) == (
        "component_outputs",
        "",
    )


def test_a_remote_plugin_gives_its_own_form_tag() -> None:
    data = {"plugin_code": {"value": "mine"}, "x": {"key": "${x}"}}
    constants = tree(task("a", component={"code": "remote_plugin", "data": data}))["constants"]

    assert constants["${x}"]["source_tag"] == "mine.x"


def test_own_variables_come_after_hooked_ones() -> None:
    constants = tree(
        task("a", output={"_loop": {"key": "${_loop}"}}),
        constants={"${ip}": {"type": "ip", "value": {}}, "${n}": {"type": "input", "name": "N"}},
        dummy_component_inputs={"${old}": {"value": 1, "source_tag": "job.x"}},
        outputs=["${n}"],
    )["constants"]

    assert [each["index"] for each in constants.values()] == [0, 1, 2, 3]
    assert constants["${ip}"]["source_tag"] == "var_ip_picker.ip_picker"
    assert (constants["${n}"]["source_tag"], constants["${n}"]["name"]) == ("input.input", "N")
    assert constants["${old}"]["source_info"] == {}
    assert constants["${old}"]["source_type"] == "component_inputs"


def parent(**data: Any) -> dict[str, Any]:
    node = {"id": "sub", "type": "SubProcess", "name": "Sub", "template_id": "kid", "data": data}
    return document(START, node, END, template_id="top")


KID = document(
    START,
    task("k", output={"_result": {"key": "${out}"}}),
    END,
    template_id="kid",
    constants={"${p}": {"value": 1, "type": "input"}, "${q}": {"value": 2, "type": "select"}},
)


def test_a_child_of_the_file_gives_its_variables() -> None:
    data = {"${p}": {"value": 9}, "${q}": {"key": "${mine}", "type": "select"}}
    top = first_tree(parent(**data), KID)
    given = top["activities"]["sub"]["constants"]

    assert {key: each["value"] for key, each in given.items()} == {"${p}": 9, "${q}": "${mine}"}
    assert given["${q}"]["custom_type"] == "select"
    assert top["constants"]["${mine}"]["source_info"] == {"sub": ["${q}"]}


def test_a_child_that_is_not_in_the_file_is_left_to_be_found() -> None:
    node = first_tree(parent(**{"${p}": {"value": 9}}))["activities"]["sub"]

    assert findings(parent(**{"${p}": {"value": 9}})) == []
    assert (node["template_id"], node["constants"]) == (
        "kid",
        {"${p}": {"key": "${p}", "show_type": "show", "value": 9}},
    )


def test_a_value_that_the_child_does_not_have_is_a_warning() -> None:
    result = read(parent(**{"${gone}": {"value": 9}}), KID)

    assert [(each.code, each.severity) for each in result.diagnostics] == [("SOP017", "warning")]
    assert result.diagnostics[0].where.path == "/0/spec/nodes/1/data/${gone}"
    assert len(result.documents) == 2


def test_templates_that_nest_in_each_other_are_read() -> None:
    back: dict[str, Any] = {
        "id": "x",
        "type": "SubProcess",
        "name": "Back",
        "template_id": "top",
        "data": {},
    }

    assert len(read(parent(), document(START, back, END, template_id="kid")).documents) == 2


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in document(START, END).items() if key != name}


N = "/0/spec/nodes"


WRONG: list[tuple[list[Any], list[tuple[str, str]] | None]] = [
    ([[]], [("SOP007", "/0")]),
    ([{}], [("SOP008", "/0")] * 3),
    ([without("schema_version")], [("SOP008", "/0")]),
    ([{**document(START, END), "schema_version": "v2"}], [("SOP009", "/0/schema_version")]),
    ([{**document(START, END), "meta": {"id": [], "name": ""}}], None),
    ([{**document(START, END), "spec": {"nodes": {}}}], [("SOP007", N)]),
    ([document(START, 5, END)], [("SOP007", f"{N}/1")]),
    ([document(START, {"id": "a"}, END)], [("SOP008", f"{N}/1")]),
    ([document(START, {"type": "ServiceActivity", "name": "A"}, END)], [("SOP008", f"{N}/1")]),
    ([document(START, {"id": "a", "type": "Mine"}, END)], [("SOP011", f"{N}/1/type")]),
    ([document(START, task("s"), END)], [("SOP006", f"{N}/1/id")]),
    ([document(START, task("a", component=None), END)], [("SOP008", f"{N}/1")]),
    ([document(START, task("a", component=[1]), END)], [("SOP007", f"{N}/1/component")]),
    ([document(START, task("a", output=[1]), END)], [("SOP007", f"{N}/1/output")]),
    (
        [document(START, task("a", component={"code": "c", "data": {"x": 1}}), END)],
        [("SOP007", f"{N}/1/component/data/x")],
    ),
    (
        [document(START, task("a", component={"code": "c", "data": [1]}), END)],
        [("SOP007", f"{N}/1/component/data")],
    ),
    (
        [document(START, task("a", output={"x": {"key": 5}}), END)],
        [("SOP007", f"{N}/1/output/x/key")],
    ),
    ([document(START, task("a", next=["ghost"]), END)], [("SOP014", f"{N}/1/next")]),
    ([document(START, END, task("a"))], [("SOP014", f"{N}/2")]),
    (
        [document(START, task("a", next=["b", "e"]), task("b"), END)],
        [("SOP016", f"{N}/1/next")],
    ),
    ([document(task("a"), END)], [("SOP008", N)]),
    ([document(START, END, outputs={})], []),
    ([document(START, END, outputs=5)], [("SOP007", "/0/spec/outputs")]),
    ([document(START, END, constants=[1])], [("SOP007", "/0/spec/constants")]),
    ([document(START, END), document(START, END)], [("SOP006", "/1/meta/id")]),
    ([None], [("SOP012", "")]),
]


@pytest.mark.parametrize(("documents", "expected"), WRONG)
def test_everything_that_is_wrong_is_said_with_its_place(
    documents: list[Any], expected: list[tuple[str, str]] | None
) -> None:
    found = findings(*documents)

    assert found == expected if expected is not None else len(found) == 2


def test_a_condition_for_a_stranger_names_it() -> None:
    conditions = {"a/b": {"evaluate": "1 == 1"}}
    gate = {"id": "g", "type": "ExclusiveGateway", "conditions": conditions}

    assert findings(document(START, gate, END)) == [("SOP015", f"{N}/1/conditions/a~1b")]


def test_a_near_name_is_offered() -> None:
    result = read(document(START, task("deploy", next=["deplyo2"]), task("deploy2"), END))

    assert result.diagnostics[0].fix == "did you mean 'deploy2'?"


def test_one_wrong_document_does_not_take_the_others_with_it() -> None:
    result = read(document(START, task("a"), END, template_id="good"), {"schema_version": "v1"})

    assert [each.id for each in result.documents] == ["good"]
    assert any(found.severity == "error" for found in result.diagnostics)


def test_a_flow_of_three_thousand_nodes_is_read_whole() -> None:
    made = tree(*(task(f"n{i}") for i in range(3_000)))

    assert len(made["flows"]) == 3_001


def test_every_code_is_documented_whole() -> None:
    assert set(YAML_CODES) == {"SOP014", "SOP015", "SOP016", "SOP017"}
    assert all(all(doc) for doc in YAML_CODES.values())


# --- against the real import -------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("stem", ["loop_sample", "subprocess_sample"])
def test_trees_are_those_of_the_real_import(stem: str) -> None:
    folder = FIXTURES / "yaml"
    expected = json.loads((folder / f"{stem}.reconverted.json").read_text("utf-8"))["trees"]
    result = read_yaml((folder / f"{stem}.yaml").read_text("utf-8"), f"{stem}.yaml", "")
    made = {each.id: each.tree for each in result.documents}

    assert result.diagnostics == ()
    assert canonical(made) == canonical(expected)


def canonical(trees: dict[str, Any]) -> dict[str, Any]:
    """Rename nodes and edges by their place in the graph, and forget drawing and its order."""
    renamed: dict[str, str] = {}
    for key, one in trees.items():
        for index, name in enumerate(walk(one)):
            renamed[name] = f"{key}:{index}"
    kept = {
        key: {part: each for part, each in one.items() if part not in {"line", "location"}}
        for key, one in trees.items()
    }
    return {key: renumber(one, renamed) for key, one in kept.items()}


def walk(one: dict[str, Any]) -> Iterator[str]:
    """Yield the ids of a tree in an order that does not depend on them."""
    nodes = {**one["activities"], **one["gateways"]}
    nodes |= {one[end]["id"]: one[end] for end in ("start_event", "end_event")}

    def look(edge: str, node: dict[str, Any]) -> str:
        target = nodes[one["flows"][edge]["target"]]
        shown = [node.get("conditions", {}).get(edge, {}).get("evaluate"), target.get("component")]
        return json.dumps([*shown, target["type"], target.get("name")], sort_keys=True)

    ahead, seen = [one["start_event"]["id"]], {one["start_event"]["id"]}
    while ahead:
        node = nodes[ahead.pop(0)]
        yield node["id"]
        given: list[str] | str = node["outgoing"]
        leaving = given if isinstance(given, list) else [given] * bool(given)
        for edge in sorted(leaving, key=functools.partial(look, node=node)):
            yield edge
            target = one["flows"][edge]["target"]
            if target not in seen:
                seen.add(target)
                ahead.append(target)


def renumber(value: Any, renamed: dict[str, str]) -> Any:
    if isinstance(value, str):
        return renamed.get(value, value)
    if isinstance(value, list):
        return [renumber(each, renamed) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, Any]", value)
    fields = {renamed.get(name, name): renumber(each, renamed) for name, each in given.items()}
    if "isSkipped" in fields:
        fields["skippable"] = fields.pop("isSkipped")
    for way in ("incoming", "outgoing"):
        if isinstance(fields.get(way), list):
            fields[way] = sorted(fields[way])
    return fields
