"""The whole translator: whatever the document, it is compiled or told what is wrong with it."""

import base64
import copy
import json
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar, cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stdops import Diagnostic
from tests.helpers.shared import FIXTURES, needs_shared
from translator.check import check
from translator.compile import compile_template
from translator.formats.dat import digests
from translator.parse import Parsed, parse
from translator.plan import Plan
from translator.rules.document import code_docs

T = TypeVar("T")

MUTATIONS = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
CALLS_A_BYTE: Final = 100
CALLS_AT_MOST: Final = 200_000

STRANGE: Final[list[Any]] = [
    None, True, 0, -1, 1.5, 10**30, "", "x", "${a}", "${", "${a.b + 1}", "${f(}", "\x00", "/~",
    "1 == 1", "${n} > 5 and", [], {}, ["x"], [[]], {"a": 1}, {"value": "${a}"}, "ServiceActivity",
    "SubProcess", "ParallelGateway", "ExclusiveGateway", "ConvergeGateway", "component_outputs",
]  # fmt: skip


# --- small documents of each format ------------------------------------------------------------


def constant(key: str, value: Any, **more: Any) -> dict[str, Any]:
    made = {"key": key, "name": key, "index": 0, "show_type": "show", "source_type": "custom"}
    return {**made, "source_info": {}, "custom_type": "input", "value": value, **more}


def node(kind: str, name: str, into: list[str], out_of: list[str], **more: Any) -> dict[str, Any]:
    many = kind in {"ParallelGateway", "ExclusiveGateway"}
    ways = {"incoming": into, "outgoing": out_of if many else out_of[0]}
    return {"id": name, "name": name, "type": kind, **ways, **more}


def web_task(name: str, into: str, out_of: str, value: str) -> dict[str, Any]:
    component = {"code": "echo", "version": "v1.0", "data": {"x": {"value": value}}}
    retry = {"enable": True, "times": 2, "interval": 1}
    return node("ServiceActivity", name, [into], [out_of], component=component, auto_retry=retry)


def web(child: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return start - fork(a, b) - join - choose(c | end) - end, with a subflow at c if given."""
    flows = {
        name: {"id": name, "source": source, "target": target}
        for name, source, target in (
            ("f0", "s", "fork"), ("f1", "fork", "a"), ("f2", "fork", "b"), ("f3", "a", "join"),
            ("f4", "b", "join"), ("f5", "join", "xor"), ("f6", "xor", "c"), ("f7", "xor", "end"),
            ("f8", "c", "end"),
        )
    }  # fmt: skip
    sub = {"pipeline": child, "template_id": "", "constants": {}}
    conditions = {
        "f6": {"evaluate": "${n} > 5", "name": "more"},
        "f7": {"evaluate": "1 == 1", "name": "less"},
    }
    return {
        "start_event": {"id": "s", "type": "EmptyStartEvent", "name": "", "outgoing": "f0"},
        "end_event": {"id": "end", "type": "EmptyEndEvent", "name": "", "incoming": ["f7", "f8"]},
        "activities": {
            "a": web_task("a", "f1", "f3", "${n} and ${text.upper()}"),
            "b": web_task("b", "f2", "f4", "${text}"),
            "c": node("SubProcess", "c", ["f6"], ["f8"], **sub)
            if child
            else web_task("c", "f6", "f8", "${out}"),
        },
        "gateways": {
            "fork": node("ParallelGateway", "fork", ["f0"], ["f1", "f2"]),
            "join": node("ConvergeGateway", "join", ["f3", "f4"], ["f5"]),
            "xor": node("ExclusiveGateway", "xor", ["f5"], ["f6", "f7"], conditions=conditions),
        },
        "flows": flows,
        "constants": {
            "${n}": constant("${n}", "7"),
            "${text}": constant("${text}", "n is ${n}", pre_render_mako=True),
            "${out}": constant(
                "${out}", "", source_type="component_outputs", source_info={"a": ["result"]}
            ),
        },
        "outputs": ["${out}"],
    }


def engine() -> dict[str, Any]:
    """Return start - a - b - end in the engine's own form."""

    def task(name: str, into: str, out_of: str, value: str) -> dict[str, Any]:
        inputs = {"x": {"type": "splice", "value": value, "need_render": True}}
        component = {"code": "echo", "inputs": inputs}
        return node("ServiceActivity", name, [into], [out_of], component=component)

    return {
        "id": "p",
        "start_event": {"id": "s", "type": "EmptyStartEvent", "name": "", "outgoing": "f0"},
        "end_event": {"id": "end", "type": "EmptyEndEvent", "name": "", "incoming": ["f2"]},
        "activities": {"a": task("a", "f0", "f1", "${n}"), "b": task("b", "f1", "f2", "${out}")},
        "gateways": {},
        "flows": {
            "f0": {"id": "f0", "source": "s", "target": "a"},
            "f1": {"id": "f1", "source": "a", "target": "b"},
            "f2": {"id": "f2", "source": "b", "target": "end"},
        },
        "data": {
            "inputs": {
                "${n}": {"type": "plain", "value": 1},
                "${out}": {
                    "type": "splice", "value": "", "source_act": "a", "source_key": "result",
                },
            },
            "outputs": ["${out}"],
            "pre_render_keys": [],
        },
    }  # fmt: skip


def exported(tree: dict[str, Any]) -> dict[str, Any]:
    """Return what a `.dat` of one template holds."""
    template = {"1": {"id": 1, "name": "t", "pipeline_id": "p", "pipeline_template_id": "p"}}
    pipeline = {"p": {"template_id": "p", "name": "t", "tree": tree, "category": "Other"}}
    refs: dict[str, Any] = {}
    return {"template": template, "pipeline_template_data": {"template": pipeline, "refs": refs}}


def yaml_documents() -> list[Any]:
    parts: list[Any] = [
        {"id": "s", "type": "EmptyStartEvent", "next": "a"},
        {
            "id": "a",
            "type": "ServiceActivity",
            "name": "a",
            "component": {"code": "echo", "data": {"x": {"value": "${n}"}}},
            "next": "xor",
        },
        {
            "id": "xor",
            "type": "ExclusiveGateway",
            "name": "",
            "conditions": {"a": {"evaluate": "${n} > 5"}, "e": {"evaluate": "1 == 1"}},
            "next": ["a", "e"],
        },
        {"id": "e", "type": "EmptyEndEvent"},
    ]
    spec = {"constants": {"${n}": {"name": "n", "value": "1", "type": "input"}}, "nodes": parts}
    return [{"meta": {"id": "t", "name": "t"}, "schema_version": "v1", "spec": spec}]


# --- changes -----------------------------------------------------------------------------------


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container with each of its keys or indices."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(cast("dict[str, Any]", value))
    elif isinstance(value, list):
        keys = list(range(len(cast("list[Any]", value))))
    for key in keys:
        yield value, key
        yield from places(value[key])


def changed(document: Any, data: st.DataObject) -> Any:
    """Drop, replace or copy some fields of a copy."""
    found = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 4))):
        spots = list(places(found))
        if not spots:
            break
        holder, key = data.draw(st.sampled_from(spots))
        other, name = data.draw(st.sampled_from(spots))
        match data.draw(st.sampled_from(["drop", "replace", "copy"])):
            case "drop":
                del holder[key]
            case "copy":
                holder[key] = copy.deepcopy(other[name])
            case _:
                holder[key] = copy.deepcopy(data.draw(st.sampled_from(STRANGE)))
    return found


@cache
def real(*patterns: str) -> list[Any]:
    paths = [path for pattern in patterns for path in sorted(FIXTURES.glob(pattern))]
    return [json.loads(path.read_text("utf-8")) for path in paths]


# --- what must hold ----------------------------------------------------------------------------


def counted(work: Callable[[], T]) -> tuple[T, int]:
    """Return what `work` returns, and how many functions of ours it called: a clock would lie."""
    calls = 0

    def watch(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        return work(), calls
    finally:
        sys.setprofile(before)


def translated(data: bytes) -> tuple[Parsed, list[Diagnostic], list[Plan]]:
    """Parse, check, and compile what has no error; as the command line does it."""
    parsed = parse(data, "x")
    findings = [*parsed.diagnostics]
    findings += [each for template in parsed.templates for each in check(template)]
    if any(each.severity == "error" for each in findings):
        return parsed, findings, []
    return parsed, findings, [compile_template(each) for each in parsed.templates]


def assert_answered(data: bytes) -> list[Plan]:
    (parsed, findings, plans), calls = counted(partial(translated, data))

    assert calls <= CALLS_A_BYTE * len(data) + CALLS_AT_MOST
    assert len(plans) == len(parsed.templates) or findings
    assert all(each.code in code_docs() for each in findings)
    assert all(each.what and each.fix and "\n" not in str(each) for each in findings)
    for plan in plans:
        assert Plan.model_validate_json(plan.model_dump_json()) == plan
        assert_whole(plan)
    return plans


def assert_whole(plan: Plan) -> None:
    """Assert that every node of a plan leads to nodes that are there."""
    flow = plan.flow
    for each in flow.nodes.values():
        targets = [getattr(each, "next", None), getattr(each, "converge", None)]
        targets += [branch.target for branch in getattr(each, "branches", ())]
        assert {target for target in targets if target} <= flow.nodes.keys()


def packed(document: Any) -> bytes:
    payload = {"digest": digests(document)[0], "template_data": document}
    return base64.b64encode(json.dumps(payload).encode())


WEB: Final = [web(), web(web()), web(web(web()))]
EXPORTS: Final = [exported(tree) for tree in WEB]


@pytest.mark.parametrize("document", [*WEB, engine()])
def test_the_small_trees_themselves_compile(document: dict[str, Any]) -> None:
    assert assert_answered(json.dumps(document).encode())


@pytest.mark.parametrize("document", EXPORTS)
def test_the_small_exports_themselves_compile(document: dict[str, Any]) -> None:
    assert assert_answered(packed(document))


def test_the_small_yaml_compiles() -> None:
    assert assert_answered(yaml.safe_dump_all(yaml_documents()).encode())


@MUTATIONS
@given(st.data())
def test_a_changed_web_tree_compiles_or_is_told(data: st.DataObject) -> None:
    assert_answered(json.dumps(changed(data.draw(st.sampled_from(WEB)), data)).encode())


@MUTATIONS
@given(st.data())
def test_a_changed_engine_tree_compiles_or_is_told(data: st.DataObject) -> None:
    assert_answered(json.dumps(changed(engine(), data)).encode())


@MUTATIONS
@given(st.data())
def test_a_changed_export_compiles_or_is_told(data: st.DataObject) -> None:
    assert_answered(packed(changed(data.draw(st.sampled_from(EXPORTS)), data)))


@MUTATIONS
@given(st.data())
def test_changed_yaml_compiles_or_is_told(data: st.DataObject) -> None:
    found = changed(yaml_documents(), data)

    assert_answered(yaml.safe_dump_all(found, allow_unicode=True).encode())


@needs_shared
@MUTATIONS
@given(st.data())
def test_a_changed_real_template_compiles_or_is_told(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from(real("web/*.json", "engine/*.json")))

    assert_answered(json.dumps(changed(document, data)).encode())


@needs_shared
@MUTATIONS
@given(st.data())
def test_a_changed_real_export_compiles_or_is_told(data: st.DataObject) -> None:
    assert_answered(packed(changed(data.draw(st.sampled_from(real("dat/*.json"))), data)))


# --- every real file ---------------------------------------------------------------------------

REFUSED: Final[dict[str, set[str]]] = {
    "not_base64.dat": {"SOP001"},
    "tampered.dat": {"SOP003", "SOP009"},
    # documents of YAML, parsed to JSON: none of the formats that bk-sops exports
    "loop_sample.docs.json": {"SOP001"},
    "subprocess_sample.docs.json": {"SOP001"},
    # trees whose child stands in another file
    "yaml_subprocess_sample_5ad26a77.web.json": {"SOP020"},
    "subprocess_sample.reconverted.json": {"SOP020"},
    # fragments that bk-sops itself cannot convert (vectors/web_validation.json)
    "trimmer_sample_0.web.json": {"SOP008", "SOP101", "SOP104"},
    "trimmer_sample_1.web.json": {"SOP008", "SOP103", "SOP104"},
}


def real_files() -> list[Path]:
    folders = ("web", "engine", "dat", "yaml")
    return [path for folder in folders for path in sorted((FIXTURES / folder).glob("*.*"))]


@needs_shared
@pytest.mark.parametrize("path", real_files(), ids=lambda path: path.name)
def test_every_real_file_compiles_or_is_refused_as_expected(path: Path) -> None:
    parsed, findings, plans = translated(path.read_bytes())

    errors = {each.code for each in findings if each.severity == "error"}
    assert errors == REFUSED.get(path.name, set())
    assert plans or errors
    assert [plan.name for plan in plans] == [each.name for each in parsed.templates if not errors]


@needs_shared
def test_a_web_tree_is_refused_exactly_where_bk_sops_cannot_convert_it() -> None:
    verdicts = json.loads((FIXTURES / "vectors" / "web_validation.json").read_text("utf-8"))
    missing_child = {name for name, codes in REFUSED.items() if codes == {"SOP020"}}

    for verdict in verdicts:
        path = FIXTURES / verdict["file"]
        if path.name not in missing_child:
            assert bool(translated(path.read_bytes())[2]) == verdict["convertible"], path.name


# --- pairs -------------------------------------------------------------------------------------

ONLY_SHOWN: Final = {
    "custom_type", "name", "origin", "pattern", "secret", "shown", "template_key",
}  # fmt: skip


def running_part(value: Any, field: str = "") -> Any:
    """Return what of a plan decides how it runs; the order of `reads` does not."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {
            key: running_part(each, key) for key, each in fields.items() if key not in ONLY_SHOWN
        }
    if isinstance(value, list):
        items = [running_part(each) for each in cast("list[Any]", value)]
        return sorted(items) if field == "reads" else items
    return value


def flow_of(path: Path) -> Any:
    (template,) = parse(path.read_bytes(), path.name).templates
    return running_part(compile_template(template).flow.model_dump(mode="json"))


def pairs() -> list[tuple[Path, Path]]:
    found = [
        (path, FIXTURES / "engine" / path.name.replace(".web.", ".engine."))
        for path in sorted((FIXTURES / "web").glob("*.json"))
    ]
    return [(stored, converted) for stored, converted in found if converted.is_file()]


@needs_shared
def test_a_web_tree_and_its_engine_tree_run_alike() -> None:
    compared = 0
    for stored, converted in pairs():
        assert flow_of(stored) == flow_of(converted), stored.name
        compared += 1

    assert compared
