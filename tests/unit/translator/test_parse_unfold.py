"""Subflows get the tree of the template that they call, and nodes can be left out."""

import base64
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from pydantic import JsonValue

from tests.helpers.shared import FIXTURES, needs_shared
from translator.formats.dat import digests
from translator.parse import Parsed, parse
from translator.template import Tree
from translator.unfold import MAX_NODES


def constant(key: str, **more: Any) -> dict[str, Any]:
    made = {"key": key, "name": key, "show_type": "show", "source_type": "custom", "index": 0}
    return {**made, "source_info": {}, "custom_type": "input", "value": "own", **more}


def call(template_id: Any, **more: Any) -> dict[str, Any]:
    return {"type": "SubProcess", "template_id": template_id, **more}


def tree(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a chain of nodes `n0`, `n1`, ...; an empty one is a task."""
    activities: dict[str, Any] = {}
    flows: dict[str, Any] = {}
    chain = ["s", *(f"n{number}" for number in range(len(nodes))), "e"]
    for number, (source, target) in enumerate(pairwise(chain)):
        flows[f"f{number}"] = {"id": f"f{number}", "source": source, "target": target}
    for number, node in enumerate(nodes):
        kind: dict[str, Any] = {"type": "ServiceActivity", "component": {"code": "c", "data": {}}}
        wires = {"incoming": [f"f{number}"], "outgoing": f"f{number + 1}"}
        activities[f"n{number}"] = {
            "id": f"n{number}",
            "name": f"n{number}",
            "optional": True,
            **wires,
            **(node or kind),
        }
    return {
        "start_event": {"id": "s", "type": "EmptyStartEvent", "name": "", "outgoing": "f0"},
        "end_event": {
            "id": "e",
            "type": "EmptyEndEvent",
            "name": "",
            "incoming": [f"f{len(nodes)}"],
        },
        "activities": activities,
        "gateways": {},
        "flows": flows,
        "constants": {},
        "outputs": [],
        **more,
    }


def rows(**trees: Any) -> list[dict[str, Any]]:
    return [{"id": name, "name": name, "pipeline_tree": each} for name, each in trees.items()]


def parsed(value: Any, **more: Any) -> Parsed:
    return parse(json.dumps(value).encode(), "t.json", **more)


def findings(value: Any, **more: Any) -> list[tuple[str, str, str]]:
    found = parsed(value, **more).diagnostics
    return [(each.code, each.severity, each.where.path) for each in found]


def child_of(value: Any, **more: Any) -> Tree:
    child = parsed(value, **more).templates[0].tree.subflows["n0"].tree
    assert child is not None
    return child


class Shelf:
    """A library of trees by id and version."""

    def __init__(self, **trees: Any) -> None:
        self.trees = trees
        self.asked: list[tuple[str, str | None]] = []

    def find(self, template_id: str, version: str | None) -> Mapping[str, JsonValue] | None:
        self.asked.append((template_id, version))
        return self.trees.get(template_id if version is None else f"{template_id}_{version}")


def test_a_child_in_the_same_file_is_nested_and_a_template_of_its_own() -> None:
    found = parsed(rows(parent=tree(call("child")), child=tree({}, {})))

    assert found.diagnostics == ()
    assert [each.key for each in found.templates] == ["parent", "child"]
    child = found.templates[0].tree.subflows["n0"]
    assert child.template_key == "child"
    assert child.tree is not None
    assert child.tree.id == "n0"
    assert list(child.tree.tasks) == ["n0", "n1"]
    assert child.tree.at == "/1/pipeline_tree"
    assert child.tree.tasks["n1"].at == "/1/pipeline_tree/activities/n1"


def test_numbers_are_ids_too() -> None:
    value = [{"id": 1, "pipeline_tree": tree(call(2))}, {"id": 2, "pipeline_tree": tree({})}]

    assert list(child_of(value).tasks) == ["n0"]


def test_the_values_of_the_node_replace_those_of_the_child() -> None:
    given = {"${a}": constant("${a}", value="${p}"), "${stale}": constant("${stale}")}
    own = {"${a}": constant("${a}", pattern="x"), "${b}": constant("${b}", show_type="hide")}
    value = rows(parent=tree(call("child", constants=given)), child=tree({}, constants=own))

    found = parsed(value).templates[0].tree.subflows["n0"]

    assert {key: each.value for key, each in found.params.items()} == {"a": "${p}", "stale": "own"}
    assert found.params["a"].at == "/0/pipeline_tree/activities/n0/constants/${a}/value"
    assert found.tree is not None
    assert list(found.tree.variables) == ["a", "b", "stale"]


def test_the_latest_version_drops_values_that_the_child_has_no_more() -> None:
    given = {
        "${a}": constant("${a}", source_info={"old": ["x"]}, source_type="component_outputs"),
        "${stale}": constant("${stale}"),
    }
    own = {"${a}": constant("${a}", source_info={"n0": ["y"]}, source_type="component_outputs")}
    node = call("child", constants=given, always_use_latest=True, version="old")
    value = rows(parent=tree(node), child=tree({}, constants=own))

    child = child_of(value)

    assert list(child.variables) == ["a"]
    assert child.variables["a"].sources == (("n0", "y"),)


@pytest.mark.parametrize("more", [{}, {"always_use_latest": True}], ids=["pinned", "latest"])
def test_what_a_node_does_not_say_of_a_variable_is_the_childs_word(more: dict[str, Any]) -> None:
    own = {"${a}": constant("${a}", custom_type="password", name="key", is_meta=False)}
    given = {"${a}": {"key": "${a}", "show_type": "show", "value": "secret"}}
    node = call("child", constants=given, **more)

    child = child_of(tree(node), library=Shelf(child=tree({}, constants=own)))

    variable = child.variables["a"]
    assert (variable.custom_type, variable.name) == ("password", "key")
    assert variable.value is not None
    assert variable.value.value == "secret"


def test_the_library_is_asked_for_the_pinned_version() -> None:
    shelf = Shelf(child_v1=tree({}), child=tree({}, {}))

    assert list(child_of(tree(call("child", version="v1")), library=shelf).tasks) == ["n0"]
    assert shelf.asked == [("child", "v1")]


def test_always_latest_asks_for_the_current_version() -> None:
    shelf = Shelf(child=tree({}))
    node = call("child", version="v1", always_use_latest=True)

    assert findings(tree(node), library=shelf) == []
    assert shelf.asked == [("child", None)]


def test_another_version_than_the_pinned_one_is_a_warning() -> None:
    where = "/activities/n0/version"
    value = tree(call("child", version="v1"))
    file = rows(parent=value, child=tree({}))
    file[1]["version"] = "v2"

    assert findings(value, library=Shelf(child=tree({}))) == [("SOP022", "warning", where)]
    assert findings(file) == [("SOP022", "warning", "/0/pipeline_tree/activities/n0/version")]


def test_a_missing_child_is_an_error_and_the_rest_is_read() -> None:
    found = parsed(tree(call("ghost", constants={"${a}": constant("${a}")}), {}))

    assert [each.code for each in found.diagnostics] == ["SOP020"]
    subflow = found.templates[0].tree.subflows["n0"]
    assert subflow.tree is None
    assert list(subflow.params) == ["a"]
    assert list(found.templates[0].tree.tasks) == ["n1"]


@pytest.mark.parametrize("template_id", ["", None])
def test_a_subflow_without_a_template_is_reported(template_id: Any) -> None:
    assert findings(tree(call(template_id))) == [("SOP008", "error", "/activities/n0")]


def test_a_template_inside_itself_is_an_error_that_names_the_way() -> None:
    value = rows(a=tree(call("b")), b=tree(call("c")), c=tree(call("a")))

    found = parsed(value).diagnostics

    assert {each.code for each in found} == {"SOP021"}
    assert any("'a' -> 'b' -> 'c' -> 'a'" in each.what for each in found)


def test_a_template_that_calls_itself_is_an_error() -> None:
    assert findings(rows(a=tree(call("a")))) == [
        ("SOP021", "error", "/0/pipeline_tree/activities/n0/template_id")
    ]


def test_a_library_without_end_stops_at_the_deepest_level() -> None:
    class Endless:
        def find(self, template_id: str, version: str | None) -> Mapping[str, JsonValue] | None:
            assert version is None
            return tree(call(str(int(template_id) + 1)))

    found = parsed(tree(call("0")), library=Endless())

    assert [each.code for each in found.diagnostics] == ["SOP021"]
    assert found.diagnostics[0].where.line == 1


def test_templates_that_double_at_every_level_are_stopped() -> None:
    levels = {
        f"t{level}": tree(call(f"t{level + 1}"), call(f"t{level + 1}")) for level in range(60)
    }
    found = parsed(rows(root=tree(call("t0")), t60=tree({})), library=Shelf(**levels))

    assert [each.code for each in found.diagnostics] == ["SOP025"]
    assert f"{MAX_NODES:,}" in found.diagnostics[0].what


def test_schemes_choose_the_optional_nodes_of_the_child() -> None:
    file = rows(parent=tree(call("child", scheme_id_list=[3])), child=tree({}, {}, {}))
    file[1]["schemes"] = [{"id": 3, "name": "some", "data": '["n1"]'}]

    assert findings(file) == []
    assert list(child_of(file).tasks) == ["n1"]
    assert list(parsed(file).templates[1].tree.tasks) == ["n0", "n1", "n2"]


def test_a_missing_scheme_is_a_warning_and_keeps_nothing() -> None:
    child = tree({}, {})
    child["activities"]["n0"]["optional"] = False
    file = rows(parent=tree(call("child", scheme_id_list=[9])), child=child)

    assert findings(file) == [
        ("SOP023", "warning", "/0/pipeline_tree/activities/n0/scheme_id_list")
    ]
    assert list(child_of(file).tasks) == ["n0"]


def test_a_broken_child_is_reported_and_not_cut() -> None:
    file = rows(parent=tree(call("child", scheme_id_list=[3])), child=tree({}, flows={"f0": 5}))

    assert "SOP007" in [code for code, _, _ in findings(file)]


def test_a_tree_that_is_unfolded_already_is_taken_as_it_is() -> None:
    value = tree(call("child", pipeline=tree(call("ghost", pipeline=tree({})))))

    assert findings(value) == []
    grandchild = child_of(value).subflows["n0"].tree
    assert grandchild is not None
    assert grandchild.at == "/activities/n0/pipeline/activities/n0/pipeline"


def test_nodes_are_left_out_before_anything_else() -> None:
    found = parsed(tree({}, call("ghost"), {}), exclude=["n1"])

    assert found.diagnostics == ()
    assert list(found.templates[0].tree.tasks) == ["n0", "n2"]


def test_a_node_that_cannot_be_left_out_is_named() -> None:
    value = tree({}, {})
    value["activities"]["n0"]["optional"] = False

    assert findings(value, exclude=["n0"]) == [("SOP024", "error", "/activities/n0")]
    assert findings(value, exclude=["ghost"]) == [("SOP024", "error", "")]


def test_positions_are_those_of_the_file() -> None:
    text = json.dumps(rows(parent=tree(call("ghost"))), indent=1)

    (found,) = parse(text.encode()).diagnostics

    assert found.where.line is not None
    assert '"template_id": "ghost"' in text.splitlines()[found.where.line - 1]


def test_a_dat_export_has_pointers_but_no_lines() -> None:
    row = {"template_id": "p", "name": "p", "tree": tree(call("ghost"))}
    data = {"exporter_version": 1, "pipeline_template_data": {"template": {"p": row}}}
    payload = {"digest": digests(data)[0], "template_data": data}  # pyright: ignore[reportArgumentType]

    (found,) = parse(base64.b64encode(json.dumps(payload).encode())).diagnostics

    at = "/template_data/pipeline_template_data/template/p/tree/activities/n0/template_id"
    assert (found.where.path, found.where.line) == (at, None)


@needs_shared
@pytest.mark.parametrize("name", ["with_subprocess.dat", "with_subprocess_and_schemes.dat"])
def test_real_exports_with_children_are_unfolded(name: str) -> None:
    found = parse((FIXTURES / "dat" / name).read_bytes(), name)

    assert found.diagnostics == ()
    parents = [each for each in found.templates if each.tree.subflows]
    child = next(iter(parents[0].tree.subflows.values()))
    assert child.tree is not None
    assert len(child.tree.tasks) == 4
    assert set(child.params) == {"description", "test"}
