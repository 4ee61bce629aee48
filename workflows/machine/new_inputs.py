"""Whether the inputs of a retry are what the node's plugin takes.

The rule is that of the checks at import: a name that the plugin does not have is a typing error,
and a plain value that it could not even convert would only fail the node once more. What refers to
variables shows in the run.
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Final

from pydantic import JsonValue

from activities.contract import PluginTraits
from translator.plan import Child, Literal, NodePath, Task, VariableKey
from translator.values import (
    MASK,
    InputType,
    classify,
    converts_to,
    has_type,
    holds_sealed,
    shown,
)
from workflows.machine.core import Core

MOST_NAMED: Final = 12
"""How many inputs a message lists."""

_WORDS: Final[Mapping[InputType, str]] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def problem_of(core: Core, path: NodePath, task: Task, given: Mapping[str, JsonValue]) -> str:
    """Say what is wrong with inputs given for a task, and how to mend it; "" for nothing.

    Names that begin with an underscore belong to the engine, and what the template itself gives the
    node may be given anew.
    """
    if task.child is not None:
        return _unknown_variable(given, path, task.child)
    traits = core.traits(task.plugin)
    if traits is None:
        return ""
    present = core.inputs_of(path, task)
    known = (*traits.inputs, *present.rendered, *present.raw)
    declared = core.program.flows[core.place(path).flow_path].variables
    for name, value in given.items():
        if name.startswith("_"):
            continue
        if name not in known and not traits.open_inputs:
            return _unknown(name, path, traits)
        if not _fits(value, traits.inputs.get(name, "any"), declared):
            return _wrong(name, value, path, traits)
    return ""


def _unknown_variable(given: Mapping[str, JsonValue], path: NodePath, child: Child) -> str:
    """Say that a child does not have the variable that it is given."""
    known = [each.key for each in child.flow.variables.values() if each.kind != "output"]
    for name in given:
        if name not in known and not name.startswith("_"):
            near = difflib.get_close_matches(name[:100], known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}"
            return f"the child of node {path!r} has no variable {shown(name)}; {hint}"
    return ""


def _fits(value: JsonValue, wanted: InputType, declared: Collection[VariableKey]) -> bool:
    if has_type(value, wanted) or converts_to(value, wanted) or holds_sealed(value):
        return True
    return not isinstance(classify(value, declared), Literal)


def _unknown(name: str, path: NodePath, traits: PluginTraits) -> str:
    names = list(traits.inputs)
    near = difflib.get_close_matches(name[:100], names, 1)
    listed = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    hint = f"did you mean {near[0]!r}?" if near else f"it has {listed or 'none'}"
    return f"plugin {traits.plugin.code!r} of node {path!r} has no input {shown(name)}; {hint}"


def _wrong(name: str, value: JsonValue, path: NodePath, traits: PluginTraits) -> str:
    got = MASK if name in traits.secrets else shown(value)
    wanted = _WORDS.get(traits.inputs[name], "")
    return f"input {name!r} of node {path!r} is given {got}, but needs {wanted}; give it that"
