"""The node kinds other than tasks: what entering one does, and what an evaluation's answer does."""

from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from pydantic import JsonValue

from translator.plan import (
    ROOT,
    Branch,
    ConditionalParallel,
    Converge,
    End,
    Exclusive,
    NodePath,
    Parallel,
    Ref,
    Start,
    Subflow,
    Task,
    Value,
    join_path,
)
from translator.values import ReferenceCycle, RuleError, holds, holds_sealed, operands, reads
from workflows.machine import tasks, telling
from workflows.machine.core import Core, Resolved
from workflows.machine.events import Finish
from workflows.machine.flow import fail, fork, leave, send

Gateway = Exclusive | ConditionalParallel

NOUNS: Final[Mapping[str, str]] = {
    "start": "variable",
    "end": "output",
    "subflow": "parameter",
    "exclusive": "condition operand",
    "conditional_parallel": "condition operand",
}
"""What a value of a node is called, by the node's kind."""


def enter(core: Core, path: NodePath) -> None:
    """Start the node that a token has entered."""
    node = core.place(path).node
    match node:
        case Task():
            tasks.enter_task(core, path, node)
        case Parallel():
            core.change(path, "finished")
            fork(core, path, [branch.target for branch in node.branches], node.converge)
        case Converge():
            leave(core, path, node.next)
        case Start() | End() | Subflow() | Exclusive() | ConditionalParallel():
            evaluate(core, path, node)
        case _:
            assert_never(node)


Valued = Start | End | Subflow | Exclusive | ConditionalParallel


def evaluate(core: Core, path: NodePath, node: Valued) -> None:
    """Resolve what a node reads, at once where that needs no sandbox; `proceed` goes on."""
    try:
        gathered = core.gather(core.place(path).flow_path, values_of(core, path, node))
    except ReferenceCycle as cycle:
        refuse(core, path, node, str(cycle))
        return
    noun = NOUNS[node.kind]
    if not isinstance(gathered, Resolved):
        core.ask(path, gathered, noun)
    elif reason := telling.tell(core, path, noun, gathered.left):
        refuse(core, path, node, reason)
    else:
        proceed(core, path, node, gathered.values)


def evaluate_again(core: Core, path: NodePath) -> None:
    """Ask once more for what a node was waiting for."""
    node = core.place(path).node
    if isinstance(node, Task):
        tasks.call(core, path, node)
    elif not isinstance(node, Parallel | Converge):
        evaluate(core, path, node)


def values_of(core: Core, path: NodePath, node: Valued) -> dict[str, Value]:
    """Return the values that a node must have before it can go on, by a name of its own."""
    match node:
        case Start():
            return pre_rendered(core, path)
        case End():
            return {key: Ref(key=key) for key in core.place(path).flow.outputs}
        case Subflow():
            return dict(node.params)
        case Exclusive() | ConditionalParallel():
            return {str(i): value for i, value in enumerate(tested(node))}
        case _:
            assert_never(node)


def pre_rendered(core: Core, path: NodePath) -> dict[str, Value]:
    """Return the variables that a flow renders once, when it starts."""
    place = core.place(path)
    chosen = [v.key for v in place.flow.variables.values() if v.pre_render]
    return {key: Ref(key=key) for key in chosen if core.find(place.flow_path, key) is not None}


def tested(node: Gateway) -> list[Value]:
    """Return the operands of a gateway's conditions, in text order."""
    rules = [b.condition.rule for b in node.branches if b.condition and b.condition.rule]
    return [value for rule in rules for value in operands(rule)]


def take_values(core: Core, path: NodePath, values: Mapping[str, JsonValue], error: str) -> None:
    """Go on with values that were evaluated outside, or fail for want of them."""
    node = core.place(path).node
    core.set_phase(path, "inside")
    if isinstance(node, Task):
        take_inputs(core, path, node, values, error)
    elif isinstance(node, Parallel | Converge):
        return  # neither reads anything
    elif error:
        refuse(core, path, node, error)
    else:
        proceed(core, path, node, values)


def take_inputs(
    core: Core, path: NodePath, task: Task, values: Mapping[str, JsonValue], error: str
) -> None:
    """Go on with an inline task whose inputs were evaluated outside."""
    traits = core.traits_of(task)
    if error or traits is None:
        tasks.end_failed(core, path, task, tasks.rendering_failed(error))
    else:
        tasks.supply(core, path, task, traits, values)


def refuse(core: Core, path: NodePath, node: Valued, reason: str) -> None:
    """Fail a node whose values cannot be had, in the real engine's words.

    Source: bamboo-engine handlers; differs: an end event says why, too.
    """
    match node:
        case Start() | Subflow():
            text = f"context hydrate failed({reason}), check node log for details."
            fail(core, path, text, exported=False)
        case Exclusive() | ConditionalParallel():
            text = f"evaluation context hydrate failed({reason}), check node log for details."
            fail(core, path, text, exported=False)
        case End():
            fail(core, path, f"outputs hydrate failed({reason}), check node log for details")
        case _:
            assert_never(node)


def proceed(core: Core, path: NodePath, node: Valued, values: Mapping[str, JsonValue]) -> None:
    """Do what a node does once its values are there."""
    match node:
        case Start():
            flow_path = core.place(path).flow_path
            for key, value in values.items():
                core.write(flow_path, key, value, "pre_rendered", path)
            leave(core, path, node.next)
        case End():
            end_flow(core, path, values)
        case Subflow():
            enter_flow(core, path, node, values)
        case Exclusive() | ConditionalParallel():
            decide(core, path, node, [values[str(i)] for i in range(len(values))])
        case _:
            assert_never(node)


# --- subflows ---------------------------------------------------------------------------------


def wrapped(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return values under their keys as templates write them."""
    return {f"${{{key}}}": value for key, value in values.items()}


def enter_flow(core: Core, path: NodePath, node: Subflow, params: Mapping[str, JsonValue]) -> None:
    """Begin a subflow's flow: its parameters become plain variables of its own context."""
    core.state.rounds[path] = core.state.rounds.get(path, 0) + 1
    if node.shares_context:
        share_context(core, path)
    for key, value in params.items():
        core.write(path, key, value, "parameter", path)
    core.record(path, wrapped(params), None)
    live = core.set_phase(path, "inside")
    send(core, live.token, join_path(path, node.flow.start))


def share_context(core: Core, path: NodePath) -> None:
    """Copy the parent's whole context into a flow, types kept.

    Source: bamboo-engine 3 SubCanvas.
    """
    parent = core.place(path).flow_path
    state = core.state
    own = dict(core.program.flows[parent].variables)
    own.update(state.retyped.get(parent, {}))
    state.retyped[path] = {key: v for key, v in own.items() if v.kind != "output"}
    state.written[path] = dict(state.written.get(parent, {}))
    state.writers[path] = dict(state.writers.get(parent, {}))


def end_flow(core: Core, path: NodePath, outputs: Mapping[str, JsonValue]) -> None:
    """End a flow: the run, or the subflow that stands around it."""
    place = core.place(path)
    live = core.close(path)
    core.change(path, "finished")
    if place.flow_path == ROOT:
        core.state.outputs = dict(outputs)
        core.record(ROOT, {}, wrapped(outputs))
        core.end_run(Finish("finished", dict(outputs)))
        return
    subflow = core.place(place.flow_path)
    if live is None or not isinstance(subflow.node, Subflow):
        return  # an end event always closes the subflow that holds it
    results = {**wrapped(outputs), **core.counters(place.flow_path)}
    core.record(place.flow_path, None, results)
    core.export(place.flow_path, subflow.node.writes, results)
    core.close(place.flow_path)
    core.change(place.flow_path, "finished")
    send(core, live.token, subflow.next)


# --- gateways ---------------------------------------------------------------------------------


def decide(core: Core, path: NodePath, node: Gateway, tokens: Sequence[JsonValue]) -> None:
    """Choose a gateway's branches by its conditions, or fail it."""
    resolved = dict(zip(tested(node), tokens, strict=True))
    if secret := secret_read(core, path, resolved):
        text = f"condition reads secret variable {secret!r}; decide by a value that is none"
        fail(core, path, text, exported=False)
        return
    first_only = core.settings.first_hit and isinstance(node, Exclusive)
    hits: list[Branch] = []
    for branch in node.branches:
        problem, hit = test_branch(branch, resolved)
        if problem:
            fail(core, path, problem, exported=False)
            return
        if hit:
            hits.append(branch)
        if hit and first_only:
            break
    choose(core, path, node, hits)


def secret_read(core: Core, path: NodePath, resolved: Mapping[Value, JsonValue]) -> str:
    """Return a variable through which a condition reads a secret; "" when none does.

    What is sealed cannot be compared here, and what came of comparing it would tell of it.
    """
    flow_path = core.place(path).flow_path
    for value, token in resolved.items():
        if holds_sealed(token):
            names = reads(value)
            found = ((name, core.find(flow_path, name)) for name in names)
            return next((name for name, known in found if known and known.secret), names[0])
    return ""


def test_branch(branch: Branch, resolved: Mapping[Value, JsonValue]) -> tuple[str, bool]:
    """Return what is wrong with a branch's condition ("" for nothing) and whether it holds."""
    condition = branch.condition
    if condition is None:
        return f"branch {branch.edge!r} has neither a condition nor is it the default", False
    if condition.rule is None:
        return (
            f"evaluate[{condition.text}] fail: {condition.error}; please check if some variable "
            "does not exist or the expression is unsupported"
        ), False
    try:
        return "", holds(condition.rule, resolved)
    except RuleError as wrong:
        return f"evaluate[{condition.text}] fail message: {wrong}", False


def choose(core: Core, path: NodePath, node: Gateway, hits: Sequence[Branch]) -> None:
    """Go on along the branches that hold, the default where none does."""
    if not hits and node.default is not None:
        hits = [node.default]
    if not hits:
        fail(core, path, "all conditions of branches are not meet", exported=False)
    elif isinstance(node, ConditionalParallel):
        core.change(path, "finished")
        fork(core, path, [branch.target for branch in hits], node.converge)
    elif len(hits) > 1:
        edges = [branch.edge for branch in hits]
        fail(core, path, f"multiple conditions meet: {edges}", exported=False)
    else:
        leave(core, path, hits[0].target)
