"""The values that a run is started with, checked against the plan's variables."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from translator.plan import Flow, Literal, Plan, Variable, VariableKey
from translator.values import (
    classify,
    holds_sealed,
    mismatch,
    pattern_text,
    shown,
    source,
    unholdable,
    verdict,
)
from workflows.machine.verbs import retype
from workflows.messages import RunInput, bare_key

MASK: Final = "******"


class Inputs(NamedTuple):
    """The variables with their given values, what is wrong with others, and what nobody checked."""

    variables: dict[VariableKey, Variable]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_inputs(flow: Flow, given: Mapping[str, JsonValue]) -> Inputs:
    """Give a flow's variables the values of a start; every problem is reported, not the first.

    A hidden variable may be given too. A value that refers to other variables is checked no
    further: what becomes of it shows only in the run.

    Source: bk-sops task creation; differs: an unknown name is refused, not ignored, and a value
    must match its variable's type, options and pattern.
    """
    variables: dict[VariableKey, Variable] = {}
    problems: list[str] = []
    notes: list[str] = []
    for name, value in given.items():
        key = bare_key(name)
        declared = flow.variables.get(key)
        problem = _unknown(key, flow) if declared is None else _problem(declared, value, flow)
        if problem or declared is None:
            problems.append(problem)
            continue
        variables[key] = retype(declared, value, flow.variables)
        if _is_unchecked(declared, value):
            pattern = shown(declared.pattern)
            why = "it cannot be read here, or may take too long"
            notes.append(f"{_named(declared)} was not compared with its pattern {pattern}: {why}")
    return Inputs(variables, tuple(problems), tuple(notes))


def handed_down(given: RunInput, plan: Plan) -> dict[VariableKey, Variable]:
    """Return the variables of a child whose values its parent gives; they are rendered already."""
    known = plan.flow.variables
    values = given.parent.values if given.parent else {}
    return {
        key: known[key].model_copy(update={"kind": "plain", "value": Literal(value=value)})
        for key, value in values.items()
        if key in known
    }


def _problem(declared: Variable, value: JsonValue, flow: Flow) -> str:
    """Say what is wrong with the value given for a variable, and how to mend it; "" if nothing."""
    if declared.kind == "output":
        return f"variable {declared.key!r} is the output of a node; it cannot be given"
    broken = unholdable(value)
    if broken:
        return f"{_named(declared)} is given {broken}; give it something else"
    if holds_sealed(value) or not isinstance(classify(value, flow.variables), Literal):
        return ""
    expected = _expected(declared, value)
    if not expected:
        return ""
    got = MASK if declared.secret else shown(value)
    return f"{_named(declared)} is given {got}, but needs {expected}; give it that"


def _expected(declared: Variable, value: JsonValue) -> str:
    """Return what a variable needs where `value` is not that, else ""."""
    options = _options(declared)
    if options and not isinstance(value, dict) and value not in ("", None):
        chosen = value if isinstance(value, list) else [value]
        if any(str(each) not in options for each in chosen):
            return f"one of {', '.join(map(shown, options))}"
    expected = mismatch(value, declared.custom_type, _pattern(declared))
    return (
        "text of the form that its pattern asks for" if expected and declared.secret else expected
    )


def _pattern(declared: Variable) -> str:
    """Return the pattern of a text that a person types; a choice keeps one that nobody meant."""
    return declared.pattern if declared.kind != "lazy" or declared.secret else ""


def _is_unchecked(declared: Variable, value: JsonValue) -> bool:
    text = pattern_text(value)
    return text is not None and verdict(_pattern(declared), text) == "unchecked"


def _options(declared: Variable) -> tuple[str, ...]:
    """Return the options of a select where the plan carries them; none means any value.

    One that has no text but the empty one is the engine's stand-in for options it could not get.
    """
    whole = source(declared.value)
    listed = whole.get("meta_data") if isinstance(whole, dict) else None
    if declared.code != "text_value_select" or not isinstance(listed, str):
        return ()
    found = tuple(_values_of(listed))
    return () if found == ("",) else found


def _values_of(listed: str) -> Iterator[str]:
    try:
        options: Any = json.loads(listed)
    except ValueError:
        return
    for option in options if isinstance(options, list) else []:  # pyright: ignore[reportUnknownVariableType]  JSON
        if isinstance(option, dict) and "value" in option:
            yield str(option["value"])  # pyright: ignore[reportUnknownArgumentType]  JSON


def _named(declared: Variable) -> str:
    """Return a variable's key, with what people call it where that says more."""
    called = f" ({shown(declared.name)[1:-1]})" if declared.name not in ("", declared.key) else ""
    return f"variable {declared.key!r}{called}"


def _unknown(key: str, flow: Flow) -> str:
    shown_keys = [v.key for v in flow.variables.values() if v.kind != "output"]
    near = difflib.get_close_matches(key, shown_keys, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(shown_keys) or 'none'}"
    return f"the template has no variable {shown(key)}; {hint}"
