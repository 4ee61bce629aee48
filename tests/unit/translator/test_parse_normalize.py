"""Web and engine trees become the same typed Tree; whatever does not fit is reported."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.helpers.shared import FIXTURES, SHARED, needs_shared
from translator.parse import Parsed, parse
from translator.plan import AutoRetry, LoopConfig, Timeout
from translator.template import SourceTask, SourceValue, SourceVariable, Tree

PLACES = {"at", "outputs_at"}
LOST = {"name", "origin", "shown", "custom_type", "pattern"}
"""What the engine tree does not keep of a variable; of the rest nothing is for display only."""


def node(**more: Any) -> dict[str, Any]:
    made = {"id": "n", "type": "ServiceActivity", "name": "Ping", "incoming": ["a"]}
    return {**made, "outgoing": "b", "component": {"code": "c", "data": {}}, **more}


def constant(**more: Any) -> dict[str, Any]:
    return {
        "key": "${v}",
        "name": "v",
        "show_type": "show",
        "source_type": "custom",
        "source_info": {},
        "custom_type": "input",
        "value": "x",
        **more,
    }


def web(**more: Any) -> dict[str, Any]:
    return {
        "start_event": {"id": "s", "type": "EmptyStartEvent", "name": "", "outgoing": "a"},
        "end_event": {"id": "e", "type": "EmptyEndEvent", "name": "", "incoming": ["b"]},
        "activities": {"n": node()},
        "gateways": {},
        "flows": {
            "a": {"id": "a", "source": "s", "target": "n"},
            "b": {"id": "b", "source": "n", "target": "e"},
        },
        "constants": {},
        "outputs": [],
        **more,
    }


def engine(**more: Any) -> dict[str, Any]:
    made = web(data={"inputs": {}, "outputs": [], "pre_render_keys": []}, **more)
    return {name: part for name, part in made.items() if name not in {"constants", "outputs"}}


def parsed(tree: Any) -> Parsed:
    return parse(json.dumps(tree).encode(), "t.json")


def tree_of(tree: Any) -> Tree:
    found = parsed(tree)
    assert found.diagnostics == ()
    return found.templates[0].tree


def task_of(**more: Any) -> SourceTask:
    return tree_of(web(activities={"n": node(**more)})).tasks["n"]


def variable_of(**more: Any) -> SourceVariable:
    return tree_of(web(constants={"${v}": constant(**more)})).variables["v"]


def findings(tree: Any) -> list[tuple[str, str, str]]:
    return [(d.code, d.severity, d.where.path) for d in parsed(tree).diagnostics]


def without_places(part: Any) -> Any:
    """Return a Tree as plain data, without pointers and what the engine tree loses."""
    names: tuple[str, ...] | None = getattr(part, "_fields", None)
    if names is not None:
        skipped = PLACES | LOST if isinstance(part, SourceVariable) else PLACES
        kept = [name for name in names if name not in skipped]
        return {name: without_places(getattr(part, name)) for name in kept}
    if isinstance(part, dict):
        held = cast("dict[str, Any]", part)
        return {key: without_places(held[key]) for key in held}
    if isinstance(part, tuple):
        return [without_places(each) for each in cast("tuple[Any, ...]", part)]
    return part


def fixtures(pattern: str) -> list[Path]:
    return sorted(FIXTURES.glob(pattern)) if FIXTURES.is_dir() else []


def pairs() -> list[tuple[Path, Path]]:
    converted = fixtures("engine/*.engine.json")
    both = [(FIXTURES / "web" / path.name.replace(".engine.", ".web."), path) for path in converted]
    return [(stored, path) for stored, path in both if stored.exists()]


# --- the real converter ------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize(("stored", "converted"), pairs(), ids=lambda path: path.stem)
def test_a_web_tree_reads_as_the_engine_tree_that_bk_sops_makes_of_it(
    stored: Path, converted: Path
) -> None:
    ours = parse(stored.read_bytes()).templates[0].tree
    theirs = parse(converted.read_bytes()).templates[0].tree

    assert without_places(ours) == without_places(theirs)


@needs_shared
def test_trees_that_bk_sops_takes_have_no_findings() -> None:
    vectors = json.loads((FIXTURES / "vectors" / "web_validation.json").read_text())

    for vector in vectors:
        diagnostics = parse((FIXTURES / vector["file"]).read_bytes()).diagnostics
        accepted = vector["valid"] and vector["convertible"]
        assert (not diagnostics) == accepted, vector["file"]


@needs_shared
def test_every_recorded_engine_tree_is_read_without_findings() -> None:
    paths = sorted((SHARED / "conformance" / "pipelines").glob("*.json"))

    for path in paths:
        found = parse(path.read_bytes(), path.name)
        assert (len(found.templates), found.diagnostics) == (1, ()), path.name


def classified(entry: Mapping[str, Any]) -> tuple[str, Any, str]:
    return entry["type"], entry["value"], entry.get("custom_type", "")


@needs_shared
def test_variables_are_classified_as_bk_sops_does() -> None:
    vectors = json.loads((FIXTURES / "vectors" / "classify_constants.json").read_text())

    for vector in vectors:
        found = parsed(web(constants=vector["constants"])).templates[0].tree.variables
        wanted = vector["expected"]["data_inputs"]
        assert {f"${{{key}}}" for key in found} == set(wanted), vector["name"]
        for key, entry in wanted.items():
            variable = found[key[2:-1]]
            if "source_act" in entry:
                assert variable.sources == ((entry["source_act"], entry["source_key"]),)
                assert variable.value is None
            else:
                value = variable.value
                assert value is not None
                assert (value.kind, value.value, value.code) == classified(entry)
        early = {f"${{{key}}}" for key, variable in found.items() if variable.pre_render}
        assert sorted(early) == vector.get("pre_render_keys", sorted(early))


@needs_shared
def test_inputs_are_classified_as_bk_sops_does() -> None:
    vectors = json.loads((FIXTURES / "vectors" / "node_inputs.json").read_text())

    for vector in vectors:
        if vector["pipeline_inputs"]:
            continue
        found = parsed(web(activities={"n": node(component={"code": "c", "data": vector["data"]})}))
        refused = [d.code for d in found.diagnostics]
        assert refused == (["SOP026"] if "raises" in vector else [])
        if refused:
            continue
        for name, entry in vector["component_inputs"].items():
            value = found.templates[0].tree.tasks["n"].inputs[name]
            kind = entry["type"] if entry["need_render"] else "plain"
            assert (value.kind, value.value) == (kind, entry["value"])


@needs_shared
def test_policies_are_clamped_as_bk_sops_does() -> None:
    vectors = json.loads((FIXTURES / "vectors" / "node_policies.json").read_text())

    for vector in vectors["auto_retry"]:
        policy = parsed(web(activities={"n": node(auto_retry=vector["auto_retry"])}))
        found = policy.templates[0].tree.tasks["n"].auto_retry
        wanted = vector["strategy"]
        assert found == (
            AutoRetry(times=wanted["max_retry_times"], interval_s=wanted["interval"])
            if wanted
            else None
        )
    for vector in vectors["timeout"]:
        policy = parsed(web(activities={"n": node(timeout_config=vector["timeout_config"])}))
        found = policy.templates[0].tree.tasks["n"].timeout
        wanted = vector["config"]
        then = "skip" if wanted and wanted["action"] == "forced_fail_and_skip" else "fail"
        assert found == (Timeout(after_s=wanted["timeout"], then=then) if wanted else None)


@pytest.mark.parametrize(
    ("given", "times", "interval_s", "reported"),
    [
        ({"times": 10, "interval": 60}, 10, 60, []),
        ({"times": "4"}, 4, 0, []),
        ({}, 10, 0, []),
        ({"times": 0}, 10, 0, ["times"]),
        ({"times": 99, "interval": 600}, 10, 60, ["times", "interval"]),
        ({"times": -2, "interval": -3}, 2, 3, ["times", "interval"]),
        ({"times": [], "interval": "soon"}, 10, 60, ["times", "interval"]),
    ],
)
def test_a_retry_out_of_bounds_is_cut_and_reported(
    given: dict[str, Any], times: int, interval_s: int, reported: list[str]
) -> None:
    found = parsed(web(activities={"n": node(auto_retry={"enable": True, **given})}))

    retry = found.templates[0].tree.tasks["n"].auto_retry
    assert retry == AutoRetry(times=times, interval_s=interval_s)
    assert [(each.code, each.severity) for each in found.diagnostics] == [
        ("SOP302", "warning") for _ in reported
    ]
    at = "/activities/n/auto_retry"
    assert [each.where.path for each in found.diagnostics] == [f"{at}/{name}" for name in reported]


@pytest.mark.parametrize(
    ("seconds", "after_s", "codes"),
    [
        (1, 1, []),
        (0, None, ["SOP303"]),
        (None, None, ["SOP303"]),
        ("60", None, ["SOP303"]),
        (1.5, None, ["SOP303"]),
        (False, None, ["SOP303"]),
        (10**30, None, ["SOP303"]),
        (-5, 1, ["SOP303"]),
        (True, 1, ["SOP303"]),
    ],
)
def test_a_time_limit_is_a_positive_number_or_reported(
    seconds: Any, after_s: int | None, codes: list[str]
) -> None:
    limit = {"enable": True, "seconds": seconds, "action": "forced_fail"}
    found = parsed(web(activities={"n": node(timeout_config=limit)}))

    task = found.templates[0].tree.tasks["n"]
    assert task.timeout == (Timeout(after_s=after_s) if after_s else None)
    assert [each.code for each in found.diagnostics] == codes


# --- one rule at a time ------------------------------------------------------------------------


def test_an_input_without_rendering_stays_plain() -> None:
    data = {"a": {"value": "${v}", "need_render": False}, "b": {"value": ["${v}"]}}
    inputs = task_of(component={"code": "c", "data": data}).inputs

    at = "/activities/n/component/data"
    assert inputs["a"] == SourceValue("plain", "${v}", f"{at}/a/value")
    assert inputs["b"] == SourceValue("splice", ["${v}"], f"{at}/b/value")


def test_an_input_named_like_a_variable_is_that_variable() -> None:
    tree = web(
        constants={"${v}": constant(custom_type="ip", value=1)},
        activities={"n": node(component={"code": "c", "data": {"${v}": {"value": "y"}}})},
    )

    assert tree_of(tree).tasks["n"].inputs["${v}"].kind == "lazy"


@pytest.mark.parametrize(
    ("more", "skippable", "retryable"),
    [
        ({}, True, True),
        ({"isSkipped": False, "can_retry": False}, False, False),
        (
            {"isSkipped": False, "skippable": True, "can_retry": False, "retryable": True},
            True,
            True,
        ),
        ({"skippable": False, "error_ignorable": True}, True, True),
        ({"skippable": None, "isSkipped": False}, False, True),
    ],
)
def test_old_spellings_of_policies_count_where_the_new_ones_are_missing(
    more: dict[str, Any], *, skippable: bool, retryable: bool
) -> None:
    task = task_of(**more)

    assert (task.skippable, task.retryable) == (skippable, retryable)


def test_the_executor_is_kept_and_is_no_input() -> None:
    inputs = {"__executor_proxy": {"type": "plain", "value": "u", "need_render": False}}
    tree = engine(activities={"n": node(component={"code": "c", "inputs": inputs})})

    assert task_of(executor_proxy="u").executor == "u"
    assert tree_of(tree).tasks["n"].executor == "u"
    assert tree_of(tree).tasks["n"].inputs == {}


def test_a_loop_is_read() -> None:
    config = {"enable": True, "loop_times": 3, "outputs_key": "${o}", "skippable": True}

    assert task_of(loop_config=config).loop == LoopConfig(times=3, skippable=True, outputs_key="o")
    assert task_of(loop_config={"enable": False, "loop_times": 0}).loop is None


def test_a_missing_plugin_version_is_legacy() -> None:
    assert task_of().version == "legacy"


def test_flows_may_be_text_list_or_nothing() -> None:
    assert task_of(incoming="x", outgoing=["y", "z"]).outgoing == ("y", "z")
    assert task_of(incoming="x").incoming == ("x",)
    assert task_of(incoming=None).incoming == ()
    assert task_of(incoming="").incoming == ()


def test_a_form_that_was_never_filled_in_gives_its_default() -> None:
    form = {"default": "d", "items_text": "[]", "datasource": "0"}

    assert variable_of(is_meta=True, custom_type="select", value=form).value == SourceValue(
        "lazy", "d", "/constants/${v}/value", "select"
    )
    chosen = variable_of(is_meta=True, custom_type="text_value_select", value=form).value
    assert chosen is not None
    assert chosen.value == {"meta_data": "[]", "info_value": "d"}


def test_options_behind_an_address_are_warned_of() -> None:
    form = {"datasource": "1", "items_text": "http://options.invalid"}
    tree = web(
        constants={"${v}": constant(is_meta=True, custom_type="text_value_select", value=form)}
    )

    assert findings(tree) == [("SOP027", "warning", "/constants/${v}")]


def test_an_output_without_a_node_is_no_variable() -> None:
    tree = web(constants={"${v}": constant(source_type="component_outputs")})

    assert tree_of(tree).variables == {}


def test_an_output_takes_its_first_node_and_name_only() -> None:
    info = {"n": ["x", "y"], "m": ["z"]}

    variable = variable_of(source_type="component_outputs", source_info=info)

    assert (variable.sources, variable.value, variable.origin) == ((("n", "x"),), None, "output")


def test_engine_variables_keep_all_their_sources() -> None:
    acts = [{"source_act": "a", "source_key": "x"}, {"source_act": "b", "source_key": "y"}]
    data = {
        "inputs": {
            "${r}": {"type": "splice", "value": "", "source_act": acts},
            "${i}": {
                "type": "plain",
                "value": 0,
                "source_act": "n",
                "source_key": "k",
                "need_initialization": True,
            },
        },
        "outputs": ["${r}"],
        "pre_render_keys": ["${i}"],
    }
    tree = tree_of({**engine(), "data": data})

    assert tree.variables["r"].sources == (("a", "x"), ("b", "y"))
    assert tree.variables["r"].value is None
    assert tree.variables["i"].value == SourceValue("plain", 0, "/data/inputs/${i}/value")
    assert (tree.outputs, tree.outputs_at) == (("r",), "/data/outputs")


def test_a_subcanvas_shares_the_context() -> None:
    tree = engine(activities={"n": {**node(type="SubCanvas"), "pipeline": engine()}})

    found = tree_of(tree).subflows["n"]

    assert found.shares_context
    assert found.tree is not None
    assert found.tree.at == "/activities/n/pipeline"


@pytest.mark.parametrize(
    ("given", "hooked", "expected"),
    [
        ({"custom_type": "input", "value": "1"}, False, ("splice", "1", "")),
        ({"custom_type": "ip", "value": "${p}"}, False, ("lazy", "${p}", "ip")),
        ({"custom_type": "ip", "value": "${p}"}, True, ("splice", "${p}", "")),
        ({"custom_type": "input", "value": "${p}", "need_render": False}, False, ("plain",) * 3),
    ],
    ids=["text", "lazy", "hooked", "raw"],
)
def test_a_subflow_gives_what_its_child_shows(
    given: dict[str, Any], *, hooked: bool, expected: tuple[str, ...]
) -> None:
    child = web(
        constants={"${v}": constant(**given), "${h}": constant(key="${h}", show_type="hide")}
    )
    hooks = {"n": ["${v}"]} if hooked else {}
    tree = web(
        activities={"n": {**node(type="SubProcess"), "pipeline": child}},
        constants={"${p}": constant(key="${p}", source_info=hooks)},
    )

    params = tree_of(tree).subflows["n"].params

    assert list(params) == ["v"]
    assert (params["v"].kind == "plain") == ("need_render" in given)
    if "need_render" not in given:
        assert (params["v"].kind, params["v"].value, params["v"].code) == expected


def test_flows_nested_as_deep_as_a_file_can_be_are_read() -> None:
    tree: dict[str, Any] = engine()
    for _ in range(31):
        tree = engine(activities={"n": {**node(type="SubProcess"), "pipeline": tree}})

    assert tree_of(tree).subflows["n"].tree is not None


# --- what is wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"start_event": None}, [("SOP008", "error", "")]),
        ({"end_event": []}, [("SOP007", "error", "/end_event")]),
        ({"flows": None}, [("SOP008", "error", "")]),
        ({"flows": {"a": 5}}, [("SOP007", "error", "/flows/a")]),
        ({"flows": {"a": {"id": "a", "source": "s"}}}, [("SOP008", "error", "/flows/a")]),
        (
            {"flows": {"a": {"id": "b", "source": "s", "target": "n"}}},
            [("SOP013", "error", "/flows/a")],
        ),
        ({"activities": []}, [("SOP007", "error", "/activities")]),
        ({"activities": {"n": None}}, [("SOP007", "error", "/activities/n")]),
        (
            {"activities": {"n": node(type="ServiceActivty")}},
            [("SOP011", "error", "/activities/n/type")],
        ),
        ({"activities": {"n": node(id="m")}}, [("SOP013", "error", "/activities/n")]),
        ({"activities": {"n": node(component=None)}}, [("SOP008", "error", "/activities/n")]),
        (
            {"activities": {"n": node(component="x")}},
            [("SOP007", "error", "/activities/n/component")],
        ),
        (
            {"activities": {"n": node(component={})}},
            [("SOP008", "error", "/activities/n/component")],
        ),
        (
            {"activities": {"n": node(retryable="no")}},
            [("SOP007", "error", "/activities/n/retryable")],
        ),
        (
            {"activities": {"n": node(incoming=[1])}},
            [("SOP007", "error", "/activities/n/incoming/0")],
        ),
        ({"activities": {"n": node(name=None)}}, [("SOP008", "warning", "/activities/n")]),
        (
            {"activities": {"n": node(type="SubProcess")}},
            [("SOP008", "error", "/activities/n")],
        ),
        (
            {"activities": {"n": node(timeout_config={"enable": True, "seconds": "9"})}},
            [("SOP303", "warning", "/activities/n/timeout_config")],
        ),
        (
            {
                "activities": {
                    "n": node(timeout_config={"enable": True, "seconds": 9, "action": "x"})
                }
            },
            [("SOP007", "error", "/activities/n/timeout_config/action")],
        ),
        (
            {"activities": {"n": node(auto_retry={"enable": True, "times": "many"})}},
            [("SOP302", "warning", "/activities/n/auto_retry/times")],
        ),
        (
            {"activities": {"n": node(auto_retry={"enable": "yes"})}},
            [("SOP007", "error", "/activities/n/auto_retry/enable")],
        ),
        (
            {"activities": {"n": node(loop_config={"enable": True})}},
            [("SOP007", "error", "/activities/n/loop_config")],
        ),
        (
            {"gateways": {"g": {"id": "g", "name": "", "type": "ExclusiveGateway"}}},
            [("SOP008", "error", "/gateways/g")],
        ),
        (
            {
                "gateways": {
                    "g": {
                        "id": "g",
                        "name": "",
                        "type": "ExclusiveGateway",
                        "conditions": {"a": {"evaluate": True}, "b": {}},
                        "default_condition": {"name": "x"},
                    }
                }
            },
            [
                ("SOP007", "error", "/gateways/g/conditions/a/evaluate"),
                ("SOP008", "error", "/gateways/g/conditions/b"),
                ("SOP008", "error", "/gateways/g/default_condition"),
            ],
        ),
        ({"constants": {"v": constant(key="v")}}, [("SOP007", "error", "/constants/v")]),
        ({"constants": {"${w}": constant()}}, [("SOP013", "error", "/constants/${w}")]),
        (
            {"constants": {"${v}": constant(source_type="custm")}},
            [("SOP007", "error", "/constants/${v}/source_type")],
        ),
        (
            {
                "constants": {
                    "${v}": constant(source_type="component_outputs", source_info={"n": []})
                }
            },
            [("SOP007", "error", "/constants/${v}/source_info/n")],
        ),
        ({"outputs": ["v"]}, [("SOP007", "error", "/outputs")]),
        ({"outputs": 5}, [("SOP007", "error", "/outputs")]),
        ({"outputs": None}, [("SOP008", "error", "")]),
    ],
)
def test_what_does_not_fit_is_reported_with_its_place(
    more: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    assert findings(web(**more)) == expected


def test_all_findings_come_at_once() -> None:
    tree = web(
        activities={"n": node(retryable=1, skippable=2, component={"data": {"x": 5}})},
        flows={"a": {}},
        outputs=None,
    )

    assert len(findings(tree)) == 7


def test_a_message_says_what_where_and_how_to_mend_it() -> None:
    (found,) = parsed(web(activities={"n": node(type="ServiceActivty")})).diagnostics

    assert found.what == "node 'Ping' is of type 'ServiceActivty'"
    assert found.fix == "did you mean 'ServiceActivity'?"
    assert str(found).startswith("t.json:1:")


def test_no_message_shows_a_value() -> None:
    secret = "hunter2"
    tree = web(
        constants={"${v}": constant(custom_type=5, value=secret, name=[secret])},
        activities={"n": node(component={"code": "c", "data": {"x": secret}})},
    )

    assert all(secret not in str(found) for found in parsed(tree).diagnostics)
    assert parsed(tree).diagnostics


def test_unknown_fields_are_ignored() -> None:
    assert tree_of(web(junk=5, activities={"n": node(stage="x", loop={"a": 1})})).tasks


def test_findings_are_capped_and_it_is_said() -> None:
    found = parsed(web(flows={str(n): 5 for n in range(1500)})).diagnostics

    assert len(found) == 1001
    assert found[-1].code == "SOP028"
