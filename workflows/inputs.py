"""The values that a run is started with, checked against the plan's variables."""

import difflib
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import JsonValue

from translator.plan import Flow, Variable, VariableKey
from workflows.machine.verbs import retype
from workflows.messages import bare_key


class Inputs(NamedTuple):
    """The variables with their given values, and what is wrong with the others."""

    variables: dict[VariableKey, Variable]
    problems: tuple[str, ...]


def read_inputs(flow: Flow, given: Mapping[str, JsonValue]) -> Inputs:
    """Give a flow's variables the values of a start; every problem is reported, not the first.

    Source: bk-sops task creation; differs: an unknown name is refused, not ignored.
    """
    variables: dict[VariableKey, Variable] = {}
    problems: list[str] = []
    for name, value in given.items():
        key = bare_key(name)
        declared = flow.variables.get(key)
        if declared is None:
            problems.append(_unknown(key, flow))
        elif declared.kind == "output":
            problems.append(f"variable {key!r} is the output of a node; it cannot be given")
        else:
            variables[key] = retype(declared, value, flow.variables)
    return Inputs(variables, tuple(problems))


def _unknown(key: str, flow: Flow) -> str:
    shown = [v.key for v in flow.variables.values() if v.kind != "output"]
    near = difflib.get_close_matches(key, shown, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(shown) or 'none'}"
    return f"the template has no variable {key!r}; {hint}"
