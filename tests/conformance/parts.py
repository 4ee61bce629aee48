"""Conditions and template values of the recorded vectors, and how their outcomes are judged."""

from collections.abc import Mapping
from typing import Any

from activities.expressions import Sandbox
from tests.conformance.compare import same
from translator.values import MODULES, RuleError, RuleSyntaxError, references, test_text

Outcome = dict[str, Any]


def judge_rule(vector: Mapping[str, Any]) -> Outcome:
    """Return the value of a condition, or the stage at which it fails."""
    try:
        return {"result": test_text(vector["expr"], vector.get("context"))}
    except RuleSyntaxError as wrong:
        return {"error": {"stage": "parse", "class": type(wrong).__name__, "text": str(wrong)}}
    except RuleError as wrong:
        return {"error": {"stage": "test", "class": type(wrong).__name__, "text": str(wrong)}}


def compare_rule(vector: Mapping[str, Any], outcome: Outcome) -> list[str]:
    """Return how a condition's outcome differs."""
    wanted = vector.get("error")
    if wanted is None:
        return same(vector["result"], outcome.get("result"), f"{vector['expr']!r}")
    stage = outcome.get("error", {}).get("stage")
    if stage == wanted["stage"]:
        return []
    return [f"{vector['expr']!r}: error at {wanted['stage']} expected, got {outcome!r}"]


def compare_tree(vector: Mapping[str, Any], outcome: Outcome) -> list[str]:
    """Return how a tree's outcome differs; of a malformed document any refusal will do."""
    want = vector["expect"]
    if want["accepted"] != outcome["accepted"]:
        return [f"accepted={want['accepted']} expected, got {outcome!r}"]
    if want["accepted"]:
        return same(want["converge"], outcome["converge"], "converge")
    wanted, got = want["error"]["class"], outcome["error"]["class"]
    return [] if wanted in ("KeyError", got) else [f"{wanted} expected, got {got}"]


async def judge_value(
    vector: Mapping[str, Any], base: Mapping[str, Any], sandbox: Sandbox
) -> Outcome:
    """Return what a template value renders to, and the variables it refers to.

    `config` holds the engine's settings that the vector was recorded with.
    """
    context = base if vector["context"] == "base" else vector["context"]
    names = [f"${{{name}}}" for name in references(vector["value"])]
    settings = vector.get("config", {})
    result = await sandbox.render(
        vector["value"],
        context,
        MODULES if vector.get("modules") == "sops" else (),
        render_obj=settings.get("render_obj", False),
        names="free" if settings.get("whitelist") == "off" else "listed",
    )
    return {"result": result, "references": sorted(names)}


def compare_value(vector: Mapping[str, Any], outcome: Outcome) -> list[str]:
    """Return how a rendered value differs; literal is right where the vector says so."""
    found: list[str] = []
    if "references" in vector:
        found = same(vector["references"], outcome["references"], "references")
    got = outcome["result"]
    literal = not same(vector["value"], got, "")
    if vector.get("result_unstable"):
        must = literal and vector["resolved"] and not vector.get("optional")
        return [*found, "must be rendered"] if must else found
    wants = [vector["result"], *vector.get("alternatives", [])]
    if any(not same(want, got, "") for want in wants) or (vector.get("optional") and literal):
        return found
    return [*found, f"{vector['value']!r}: {vector['result']!r} expected, got {got!r}"]
