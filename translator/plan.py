"""The Plan: a checked template in the typed, immutable form that a run interprets.

Everything is a frozen pydantic model; unions are discriminated on `kind`, so that a plan of a
thousand nodes decodes in milliseconds. A plan is stored by its digest and never changes.

Names: a variable's key stands without its `${}`; a node keeps the id that its template gave it, and
is addressed from the root by its path, the ids of the enclosing subflows and its own joined by "/".
"""

import hashlib
import typing
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue

NodeId: TypeAlias = str
NodePath: TypeAlias = str
FlowPath: TypeAlias = str
VariableKey: TypeAlias = str
EdgeId: TypeAlias = str

ROOT: FlowPath = ""
"""The path of the root flow; a subflow's flow has the path of its node."""


class Model(BaseModel):
    """Base of all parts of a plan: immutable, and nothing unknown passes."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


# --- values: classified once, when compiled --------------------------------------------------


class Literal(Model):
    """Plain JSON; nothing in it is ever rendered."""

    kind: typing.Literal["literal"] = "literal"
    value: JsonValue


class Ref(Model):
    """Text that is exactly `${key}`: the variable's value, its type kept."""

    kind: typing.Literal["ref"] = "ref"
    key: VariableKey


class Splice(Model):
    """Text with plain references in it; always resolves to text.

    `parts` are literal texts and references in order; a `Ref` inside renders as Python's `str()`.
    """

    kind: typing.Literal["splice"] = "splice"
    parts: tuple[str | Ref, ...]


class Expression(Model):
    """Text with anything more than plain references: evaluated in the sandbox.

    `reads` are the variables it names, in order of first use.
    """

    kind: typing.Literal["expression"] = "expression"
    text: str
    reads: tuple[VariableKey, ...] = ()


class ListValue(Model):
    """A list in which something is not literal."""

    kind: typing.Literal["list"] = "list"
    items: tuple["Value", ...]


class DictValue(Model):
    """An object in which some value is not literal; keys are never rendered."""

    kind: typing.Literal["dict"] = "dict"
    fields: dict[str, "Value"]


Value: TypeAlias = Annotated[
    Literal | Ref | Splice | Expression | ListValue | DictValue, Field(discriminator="kind")
]


# --- conditions: bk-sops's BoolRule, parsed once ---------------------------------------------


class Const(Model):
    """A number, boolean or word written in the condition."""

    kind: typing.Literal["const"] = "const"
    value: bool | int | float | str


class Token(Model):
    """An operand with references in it, not quoted: the token that its text lexes to."""

    kind: typing.Literal["token"] = "token"
    value: Value


class Quoted(Model):
    """A quoted operand with references in it: always one string."""

    kind: typing.Literal["quoted"] = "quoted"
    value: Value


class Several(Model):
    """A parenthesised list of operands."""

    kind: typing.Literal["several"] = "several"
    items: tuple["Operand", ...]


Operand: TypeAlias = Annotated[Const | Token | Quoted | Several, Field(discriminator="kind")]
Comparator: TypeAlias = typing.Literal[
    "==", "!=", "<", ">", "<=", ">=", "in", "notin", "issuperset", "notissuperset"
]


class Always(Model):
    """The condition `*`."""

    kind: typing.Literal["always"] = "always"


class Compare(Model):
    """One comparison."""

    kind: typing.Literal["compare"] = "compare"
    left: Operand
    comparator: Comparator
    right: Operand


class Chain(Model):
    """`left and right` or `left or right`: no precedence, right-associative, short-circuit."""

    kind: typing.Literal["chain"] = "chain"
    joiner: typing.Literal["and", "or"]
    left: "Rule"
    right: "Rule"


Rule: TypeAlias = Annotated[Always | Compare | Chain, Field(discriminator="kind")]


class Condition(Model):
    """A branch's condition; `rule` is None when `text` does not parse, and `error` says why."""

    text: str
    rule: Rule | None = None
    error: str = ""
    reads: tuple[VariableKey, ...] = ()


# --- variables --------------------------------------------------------------------------------


class Variable(Model):
    """A named value of a flow.

    kind: `plain` is used as it is; `splice` is rendered each time it is read; `lazy` is rendered
    and then computed by the plugin `code` each time it is read; `output` has no value until one of
    its `sources` has ended.
    """

    key: VariableKey
    kind: typing.Literal["plain", "splice", "lazy", "output"]
    value: Value = Literal(value="")
    code: str = ""
    name: str = ""
    origin: typing.Literal["given", "input", "output", "system"] = "given"
    shown: bool = False
    secret: bool = False
    custom_type: str = ""
    pattern: str = ""
    pre_render: bool = False
    reads: tuple[VariableKey, ...] = ()


class Write(Model):
    """Output `output` of a node goes to variable `variable` when the node ends."""

    output: str
    variable: VariableKey


# --- nodes ------------------------------------------------------------------------------------


class PluginRef(Model):
    """Which plugin, in which version, a task calls."""

    code: str
    version: str = "legacy"


class AutoRetry(Model):
    """Automatic retry of a failed node: `times` retries, `interval_s` seconds apart."""

    times: int
    interval_s: int


class Timeout(Model):
    """A node's time limit in seconds, and what happens then."""

    after_s: int
    then: typing.Literal["fail", "skip"] = "fail"


class LoopConfig(Model):
    """A node that repeats itself `times` times; results collect in `outputs_key`."""

    times: int
    fail_skip: bool = False
    retryable: bool = False
    skippable: bool = False
    outputs_key: VariableKey | None = None


def _is_none(value: object) -> bool:
    return value is None


class _Node(Model):
    id: NodeId
    name: str = ""


class Start(_Node):
    """Where a flow begins; renders the flow's pre-rendered variables."""

    kind: typing.Literal["start"] = "start"
    next: NodeId


class End(_Node):
    """Where a flow ends; computes the flow's outputs."""

    kind: typing.Literal["end"] = "end"


class Task(_Node):
    """One plugin call, or with `child` a run of its own.

    `inputs` in the template's order; `raw` names those that are never rendered (they win over the
    loop counters), `verbatim` those of them whose replacements are not rendered either; `reads` is
    the transitive closure of the variables that the inputs need.
    """

    kind: typing.Literal["task"] = "task"
    next: NodeId
    plugin: PluginRef
    inputs: dict[str, Value] = Field(default_factory=dict)
    raw: tuple[str, ...] = ()
    verbatim: tuple[str, ...] = ()
    writes: tuple[Write, ...] = ()
    optional: bool = False
    skippable: bool = True
    retryable: bool = True
    error_ignorable: bool = False
    auto_retry: AutoRetry | None = None
    timeout: Timeout | None = None
    loop: LoopConfig | None = None
    executor: str = ""
    reads: tuple[VariableKey, ...] = ()
    # left out where there is none, so that the digest of such a plan is what it always was
    child: "Child | None" = Field(default=None, exclude_if=_is_none)


class Child(Model):
    """A flow that a task runs as a run of its own; the task's inputs are its parameters.

    name, template_key and version are those of the template that it was made of.
    """

    flow: "Flow"
    name: str = ""
    template_key: str = ""
    version: str = ""


class Subflow(_Node):
    """A nested flow, run inline.

    `params` are rendered in the parent's context and become plain variables of the nested flow;
    with `shares_context` (the engine's SubCanvas) the parent's whole context is copied instead.
    """

    kind: typing.Literal["subflow"] = "subflow"
    next: NodeId
    flow: "Flow"
    params: dict[VariableKey, Value] = Field(default_factory=dict)
    writes: tuple[Write, ...] = ()
    shares_context: bool = False
    optional: bool = False
    template_key: str = ""
    reads: tuple[VariableKey, ...] = ()


class Branch(Model):
    """One way out of a gateway, by the id of its edge."""

    edge: EdgeId
    target: NodeId
    name: str = ""
    condition: Condition | None = None


class Parallel(_Node):
    """Fork into all branches."""

    kind: typing.Literal["parallel"] = "parallel"
    branches: tuple[Branch, ...]
    converge: NodeId


class ConditionalParallel(_Node):
    """Fork into the branches whose condition holds, else into `default`."""

    kind: typing.Literal["conditional_parallel"] = "conditional_parallel"
    branches: tuple[Branch, ...]
    default: Branch | None = None
    converge: NodeId


class Exclusive(_Node):
    """Take the one branch whose condition holds, else `default`."""

    kind: typing.Literal["exclusive"] = "exclusive"
    branches: tuple[Branch, ...]
    default: Branch | None = None


class Converge(_Node):
    """Where the branches of a fork meet."""

    kind: typing.Literal["converge"] = "converge"
    next: NodeId


Node: TypeAlias = Annotated[
    Start | End | Task | Subflow | Parallel | ConditionalParallel | Exclusive | Converge,
    Field(discriminator="kind"),
]


class Flow(Model):
    """A graph of nodes with variables of its own; nodes stand in the template's order."""

    start: NodeId
    nodes: dict[NodeId, Node]
    variables: dict[VariableKey, Variable] = Field(default_factory=dict)
    outputs: tuple[VariableKey, ...] = ()


class Plan(Model):
    """What a run interprets; `source_digest` names the template's bytes it was compiled from."""

    schema_version: typing.Literal[1] = 1
    template_key: str
    name: str = ""
    version: str = ""
    source_digest: str = ""
    flow: Flow

    @cached_property
    def digest(self) -> str:
        """SHA-256, hex, of the plan's canonical JSON; identifies the plan in the store."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def join_path(flow: FlowPath, node: NodeId) -> NodePath:
    """Address `node` of the flow at `flow` from the root."""
    step = node.replace("~", "~0").replace("/", "~1") if "/" in node or "~" in node else node
    return f"{flow}/{step}" if flow else step


def parent_path(path: NodePath) -> FlowPath:
    """Return the flow that holds the node at `path`; "" is the root flow."""
    return path.rpartition("/")[0]


def flow_in(node: Node) -> Flow | None:
    """Return the flow that a node holds: a subflow's, or that of an independent child."""
    match node:
        case Subflow():
            return node.flow
        case Task() if node.child is not None:
            return node.child.flow
        case _:
            return None


def flows_of(flow: Flow) -> Iterator[Flow]:
    """Yield a flow and the flows nested in it, those of children too, outer ones first."""
    waiting = [flow]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += reversed([inner for node in found.nodes.values() if (inner := flow_in(node))])


def node_at(flow: Flow, path: NodePath) -> Node | None:
    """Return the node at `path`, seen from `flow` and at any depth; None where there is none."""
    found: Flow | None = flow
    node: Node | None = None
    for step in path.split("/"):
        node = found.nodes.get(step.replace("~1", "/").replace("~0", "~")) if found else None
        found = flow_in(node) if node else None
    return node


def part_of(plan: Plan, path: NodePath) -> Plan:
    """Return the plan of the independent child that the task at `path` starts.

    Raises:
        KeyError: no such task stands there.
    """
    node = node_at(plan.flow, path)
    if not isinstance(node, Task) or node.child is None:
        raise KeyError(path)
    child = node.child
    return Plan(
        template_key=child.template_key or plan.template_key,
        name=child.name or node.name,
        version=child.version,
        source_digest=plan.source_digest,
        flow=child.flow,
    )


def targets_of(node: Node) -> Sequence[NodeId]:
    """Return the nodes that `node` leads to, in the template's order, the default last."""
    match node:
        case End():
            return ()
        case Parallel():
            return [branch.target for branch in node.branches]
        case ConditionalParallel() | Exclusive():
            ways = [branch.target for branch in node.branches]
            return [*ways, node.default.target] if node.default else ways
        case _:
            return (node.next,)
