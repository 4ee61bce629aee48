"""What `stdops plan` shows: the nodes with their plugins, the variables, what is missing."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import typer
from pydantic import JsonValue

from translator.plan import (
    ROOT,
    ConditionalParallel,
    Exclusive,
    Flow,
    FlowPath,
    Literal,
    NodePath,
    Plan,
    Subflow,
    Task,
    Variable,
    VariableKey,
    join_path,
    targets_of,
)
from translator.values import source
from workers.cli.output import plain, short, show_table, table
from workflows.machine.program import Place, lay_out

if TYPE_CHECKING:
    from activities.registry import Registry
    from workers.settings import Settings

_MASK: Final = "******"
_SEVERAL: Final = 3
_SILENT: Final = frozenset({"start", "end"})


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node of a plan; plugin, version and queue are "" for what calls none."""

    path: str
    name: str
    kind: str
    plugin: str
    version: str
    queue: str
    known: bool


@dataclass(frozen=True, slots=True)
class VariableFacts:
    """One variable; `flow` "" is the root's, `used_by` are paths of nodes."""

    flow: FlowPath
    key: VariableKey
    kind: str
    shown: bool
    default: JsonValue
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """All that there is to say about a plan."""

    template: str
    name: str
    version: str
    digest: str
    outputs: tuple[VariableKey, ...]
    nodes: tuple[NodeFacts, ...]
    variables: tuple[VariableFacts, ...]
    unknown: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many nodes there are of each kind."""
        return dict(Counter(node.kind for node in self.nodes))


def facts_of(plan: Plan, registry: "Registry", settings: "Settings") -> PlanFacts:
    """Return the facts of a plan, its nodes in the order in which a run meets them."""
    program = lay_out(plan)
    paths = _in_order(plan.flow, ROOT)
    nodes = [_node(path, program.places[path], registry, settings) for path in paths]
    variables = [v for path, flow in program.flows.items() for v in _variables(path, flow)]
    lazy = (v.code for flow in program.flows.values() for v in flow.variables.values())
    missing = [registry.missing_text(n.plugin, n.version) for n in nodes if not n.known]
    missing += [f"unknown variable type {c!r}" for c in lazy if c and registry.lazy(c) is None]
    return PlanFacts(
        template=plan.template_key,
        name=plan.name,
        version=plan.version,
        digest=plan.digest,
        outputs=plan.flow.outputs,
        nodes=tuple(nodes),
        variables=tuple(variables),
        unknown=tuple(dict.fromkeys(missing)),
    )


def _in_order(flow: Flow, at: FlowPath) -> Iterator[NodePath]:
    """Yield the paths of a flow's nodes from its start on, those of a subflow after it."""
    seen = {flow.start: None}
    waiting = deque([flow.start])
    while waiting:
        node = flow.nodes[waiting.popleft()]
        path = join_path(at, node.id)
        yield path
        if isinstance(node, Subflow):
            yield from _in_order(node.flow, path)
        fresh = [target for target in targets_of(node) if target not in seen]
        seen.update(dict.fromkeys(fresh))
        waiting.extend(dict.fromkeys(fresh))


def as_data(facts: PlanFacts) -> dict[str, Any]:
    """Return the facts as JSON data."""
    return {**asdict(facts), "counts": facts.counts}


def show(facts: PlanFacts) -> None:
    """Print the facts for people."""
    title = f"{facts.name or facts.template} ({facts.template})"
    typer.echo(f"{typer.style(title, bold=True)}  plan {facts.digest[:12]}")
    counted = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in facts.counts.items())
    typer.echo(f"{len(facts.nodes)} nodes: {counted}\n")
    _show_nodes(facts)
    typer.echo("")
    _show_variables(facts)
    if facts.unknown:
        typer.secho(f"\n✗ {len(facts.unknown)} missing: `stdops run` refuses it", fg="red")
        for text in facts.unknown:
            typer.echo(f"  {text}")
    else:
        typer.secho("\n✓ everything that it needs is installed here", fg="green")


def _show_nodes(facts: PlanFacts) -> None:
    made = table("", "NODE", "NAME", "PLUGIN", "VERSION", "QUEUE", narrow=("", "VERSION", "QUEUE"))
    for node in facts.nodes:
        if node.kind in _SILENT:
            continue
        if node.plugin:
            sign = "✓" if node.known else "✗"
            plugin, version, queue = node.plugin, node.version, node.queue
        else:
            sign, version, queue = "", "", ""
            plugin = node.kind.replace("_", " ")
        style = "red" if not node.known else None if node.plugin else "dim"
        cells = plain([sign, node.path, node.name, plugin, version, queue])
        made.add_row(*cells, style=style)
    show_table(made)


def _show_variables(facts: PlanFacts) -> None:
    made = table("VARIABLE", "KIND", "DEFAULT", "USED BY", narrow=("VARIABLE", "KIND"))
    for one in facts.variables:
        key = f"{one.flow}:{one.key}" if one.flow else one.key
        sign = "*" if one.shown else ""
        used = ", ".join(one.used_by[:_SEVERAL])
        more = f" and {len(one.used_by) - _SEVERAL} more" if len(one.used_by) > _SEVERAL else ""
        made.add_row(*plain([key + sign, one.kind, short(one.default, 40), used + more]))
    show_table(made)
    typer.secho("* asked for at the start", dim=True)
    if facts.outputs:
        typer.echo(f"outputs: {', '.join(facts.outputs)}")


def _node(path: str, at: Place, registry: "Registry", settings: "Settings") -> NodeFacts:
    node = at.node
    if not isinstance(node, Task):
        return NodeFacts(path, node.name, node.kind, "", "", "", known=True)
    code, version = node.plugin.code, node.plugin.version
    found = registry.plugin(code, version)
    own = found.traits.queue if found else ""
    queue = settings.queue_of(code) or own or settings.task_queue
    return NodeFacts(path, node.name, "task", code, version, queue, known=found is not None)


def _variables(path: FlowPath, flow: Flow) -> Iterator[VariableFacts]:
    used: dict[VariableKey, list[str]] = {}
    for node_id, key in _uses(flow):
        used.setdefault(key, []).append(node_id)
    for variable in flow.variables.values():
        readers = tuple(dict.fromkeys(used.get(variable.key, ())))
        yield VariableFacts(
            path, variable.key, variable.kind, variable.shown, _default(variable), readers
        )


def _uses(flow: Flow) -> Iterator[tuple[str, VariableKey]]:
    for node in flow.nodes.values():
        match node:
            case Task() | Subflow():
                yield from ((node.id, key) for key in node.reads)
            case Exclusive() | ConditionalParallel():
                conditions = [branch.condition for branch in node.branches if branch.condition]
                yield from ((node.id, key) for found in conditions for key in found.reads)
            case _:
                pass


def _default(variable: Variable) -> JsonValue:
    if variable.secret:
        return _MASK
    value = variable.value
    return value.value if isinstance(value, Literal) else source(value)
