"""The engine's part: conditions, gateways, states, references and rendering."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue

from activities.builtin.variables import transform
from activities.contract import Unresolved
from activities.expressions import Sandbox
from tests.vectors.case import Case, Differences, differ, numbered
from tests.vectors.variable_checks import normal
from translator.graph import match_gateways, validate_tree
from translator.plan import Variable
from translator.values import (
    RuleError,
    RuleSyntaxError,
    classify,
    closure,
    insides,
    references,
    test_text,
)
from translator.values.fragments import texts
from workflows.machine.display import Facts, display_state, display_state_legacy

_NOW: Final = datetime(2026, 3, 4, 20, 6, 7, tzinfo=UTC)


# --- conditions and gateways -------------------------------------------------------------------


def boolrule(data: Any, _folder: Path) -> Iterator[Case]:
    """Conditions: true, false, or an error."""
    for name, entry in numbered(data, lambda each: each["expression"]):
        yield Case(name, partial(_condition, entry))


def _condition(entry: Any) -> Differences:
    try:
        found = test_text(entry["expression"], entry["context"])
    except (RuleSyntaxError, RuleError) as problem:
        return [] if "raises" in entry else [f"raised {problem!r}"]
    if "raises" in entry:
        return [f"gave {found}, expected {entry['raises']}"]
    return differ(entry["expected"], found)


def gateway_validation(data: Any, _folder: Path) -> Iterator[Case]:
    """Which trees are refused with which error, and where branches meet."""
    for name, entry in numbered(data, lambda each: each["name"]):
        yield Case(name, partial(_gateways, entry))


def _gateways(entry: Any) -> Differences:
    tree = normal(entry["tree"])[0]
    problems = validate_tree(tree)
    lines = differ(entry["result"], problems[0].engine_class if problems else "ok")
    named = [entry[key] for key in ("node_id", "gateway_id") if entry.get(key)]
    if problems and named and problems[0].node not in named:
        lines.append(f"at node {problems[0].node!r}, expected {named[0]!r}")
    if "converge_gateway_id" in entry:
        lines += differ(entry["converge_gateway_id"], match_gateways(tree).converge)
    return lines


# --- states ------------------------------------------------------------------------------------


def task_state(data: Any, _folder: Path) -> Iterator[Case]:
    """The states that people see, by the present and the older rule."""
    plugins = {node: code for code, nodes in data["component_nodes"].items() for node in nodes}
    for entry in data["cases"]:
        yield Case(entry["name"], partial(_states, entry, plugins))


def _states(entry: Any, plugins: dict[str, str]) -> Differences:
    tree = entry["engine_tree"]
    retrying = [
        node
        for node, retry in entry["auto_retry_info"].items()
        if retry["auto_retry_times"] < retry["max_auto_retry_times"]
    ]
    facts = Facts(plugins, dict(_child_states(tree)), retrying, entry["is_subquery"])
    return differ(entry["derived"], _listed(display_state(tree, facts))) + differ(
        entry["derived_legacy"], _listed(display_state_legacy(tree))
    )


def _child_states(tree: Any) -> Iterator[tuple[str, str]]:
    if "_sub_task_state" in tree:
        yield tree["id"], tree["_sub_task_state"]
    for child in tree["children"].values():
        yield from _child_states(child)


def _listed(tree: Any) -> dict[str, Any]:
    """Write a tree of states as the vectors do: children as a list."""
    kept = {key: value for key, value in tree.items() if key != "_sub_task_state"}
    return {**kept, "children": [_listed(child) for child in tree["children"].values()]}


# --- references and rendering ------------------------------------------------------------------


def mako_references(data: Any, _folder: Path) -> Iterator[Case]:
    """Names that templates refer to, and their fragments."""
    for name, entry in numbered(data, lambda each: each["template"]):
        yield Case(name, partial(_references, entry))


def _references(entry: Any) -> Differences:
    names = sorted(f"${{{name}}}" for name in references(entry["template"]))
    fragments = {f"${{{inside}}}" for text in texts(entry["template"]) for inside in insides(text)}
    wanted = [sorted(entry["references"]), sorted(entry["fragments"])]
    return differ(wanted, [names, sorted(fragments)])


def mako_render(data: Any, _folder: Path) -> Iterator[Case]:
    """Templates rendered in the sandbox."""
    entries = data["cases"]
    found = _in_sandbox(partial(_render_all, entries))
    for (name, entry), result in zip(
        numbered(entries, lambda each: each["template"]), found, strict=True
    ):
        yield Case(name, partial(_rendered, entry, result))


async def _render_all(entries: Sequence[Any], sandbox: Sandbox) -> list[Any]:
    return [await _attempt(sandbox.render(each["template"], each["context"])) for each in entries]


def _rendered(entry: Any, result: Any) -> Differences:
    if isinstance(result, Exception):
        return [] if "raises" in entry else [f"raised {result!r}"]
    if "raises" in entry:
        return [f"gave {result!r}, expected {entry['raises']}"]
    return differ(entry["expected"], result)


def context_hydrate(data: Any, _folder: Path) -> Iterator[Case]:
    """Variables that refer to each other, resolved together."""
    found = _in_sandbox(partial(_hydrate_all, data))
    for (name, entry), result in zip(
        numbered(data, lambda each: [value["key"] for value in each["values"]]), found, strict=True
    ):
        yield Case(name, partial(_hydrated, entry, result))


async def _hydrate_all(entries: Sequence[Any], sandbox: Sandbox) -> list[Any]:
    return [await _attempt(_hydrate(sandbox, each)) for each in entries]


async def _hydrate(sandbox: Sandbox, entry: Any) -> dict[str, JsonValue]:
    keys = [each["key"][2:-1] for each in entry["values"]]
    known = {
        key: _variable(key, each, keys) for key, each in zip(keys, entry["values"], strict=True)
    }
    values = {f"${{{key}}}": classify(f"${{{key}}}", keys) for key in keys}
    ordered = closure(values.values(), known.get)
    return await sandbox.evaluate(Unresolved(values=values, variables=ordered), _look_up)


def _variable(key: str, entry: Any, declared: Sequence[str]) -> Variable:
    kind = entry["type"]
    plain = {"kind": "literal", "value": entry["value"]}
    value = plain if kind == "plain" else classify(entry["value"], declared)
    code = entry.get("code", "select") if kind == "lazy" else ""
    return Variable.model_validate({"key": key, "kind": kind, "value": value, "code": code})


async def _look_up(code: str, value: JsonValue) -> JsonValue:
    return transform(code, value, now=_NOW)


def _hydrated(entry: Any, result: Any) -> Differences:
    if isinstance(result, Exception):
        return [] if "raises" in entry else [f"raised {result!r}"]
    return differ(entry["hydrated"], result)


async def _attempt(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await work
    except Exception as problem:  # noqa: BLE001  what a case raises is its result
        return problem


def _in_sandbox(work: Callable[[Sandbox], Coroutine[Any, Any, list[Any]]]) -> list[Any]:
    async def run() -> list[Any]:
        async with Sandbox() as sandbox:
            return await work(sandbox)

    return asyncio.run(run())


CHECKERS = {
    "boolrule.json": boolrule,
    "context_hydrate.json": context_hydrate,
    "gateway_validation.json": gateway_validation,
    "mako_references.json": mako_references,
    "mako_render.json": mako_render,
    "task_state.json": task_state,
}
