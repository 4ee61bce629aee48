"""Template: what every stored format parses to, before checks and compilation.

A Template is normalised (one spelling, defaults filled in, web constants already classified) but
not yet trusted: edges may lead nowhere and gateways may not match. Each part keeps `at`, its JSON
pointer in the document it came from, so that a diagnostic can name the place.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol, TypeAlias

from pydantic import JsonValue

from translator.plan import AutoRetry, EdgeId, LoopConfig, NodeId, Timeout, VariableKey

FormatName: TypeAlias = Literal["web", "engine", "dat", "yaml"]
GatewayKind: TypeAlias = Literal["exclusive", "parallel", "conditional_parallel", "converge"]


class SourceValue(NamedTuple):
    """A value as the template gives it.

    kind: `plain` is never rendered, `splice` is, `lazy` is rendered and computed by `code`.
    verbatim: the template says that the value must not be rendered, now or on a retry.
    """

    kind: Literal["plain", "splice", "lazy"]
    value: JsonValue
    at: str
    code: str = ""
    verbatim: bool = False


class SourceVariable(NamedTuple):
    """A variable of a flow; `key` without `${}`.

    `sources` are (node id, output key) pairs that write it; `value` is None for a variable that
    has none until one of them has ended.
    """

    key: VariableKey
    value: SourceValue | None
    at: str
    sources: tuple[tuple[NodeId, str], ...] = ()
    name: str = ""
    origin: Literal["given", "input", "output", "system"] = "given"
    shown: bool = False
    custom_type: str = ""
    pattern: str = ""
    pre_render: bool = False


class SourceEvent(NamedTuple):
    """A start or end event."""

    id: NodeId
    at: str
    name: str = ""
    incoming: tuple[EdgeId, ...] = ()
    outgoing: tuple[EdgeId, ...] = ()


class SourceTask(NamedTuple):
    """A ServiceActivity: one plugin call and its policies.

    child: the flow that it runs as a run of its own, where it does; it is given `inputs`.
    """

    id: NodeId
    at: str
    name: str
    incoming: tuple[EdgeId, ...]
    outgoing: tuple[EdgeId, ...]
    code: str
    version: str
    inputs: Mapping[str, SourceValue] = {}
    optional: bool = False
    skippable: bool = True
    retryable: bool = True
    error_ignorable: bool = False
    auto_retry: AutoRetry | None = None
    timeout: Timeout | None = None
    loop: LoopConfig | None = None
    executor: str = ""
    child: "SourceSubflow | None" = None


class SourceSubflow(NamedTuple):
    """A SubProcess or SubCanvas with its nested tree unfolded.

    `tree` is None when the child template was not found (a diagnostic says so).
    """

    id: NodeId
    at: str
    name: str
    incoming: tuple[EdgeId, ...]
    outgoing: tuple[EdgeId, ...]
    tree: "Tree | None"
    params: Mapping[VariableKey, SourceValue] = {}
    shares_context: bool = False
    optional: bool = False
    template_key: str = ""
    version: str = ""


class SourceCondition(NamedTuple):
    """The condition of one outgoing edge."""

    edge: EdgeId
    text: str
    at: str
    name: str = ""


class SourceGateway(NamedTuple):
    """A gateway; `conditions` in stored order."""

    id: NodeId
    at: str
    name: str
    kind: GatewayKind
    incoming: tuple[EdgeId, ...]
    outgoing: tuple[EdgeId, ...]
    conditions: tuple[SourceCondition, ...] = ()
    default: SourceCondition | None = None


SourceNode: TypeAlias = SourceEvent | SourceTask | SourceSubflow | SourceGateway


class Edge(NamedTuple):
    """A directed edge between two nodes of one tree."""

    id: EdgeId
    source: NodeId
    target: NodeId
    at: str


class Tree(NamedTuple):
    """One flow: the graph, its variables and outputs."""

    id: str
    at: str
    start: SourceEvent
    end: SourceEvent
    tasks: Mapping[NodeId, SourceTask]
    subflows: Mapping[NodeId, SourceSubflow]
    gateways: Mapping[NodeId, SourceGateway]
    edges: Mapping[EdgeId, Edge]
    variables: Mapping[VariableKey, SourceVariable]
    outputs: tuple[VariableKey, ...] = ()
    outputs_at: str = ""


class Scheme(NamedTuple):
    """A named set of the nodes to keep."""

    id: str
    name: str
    nodes: tuple[NodeId, ...]


class Template(NamedTuple):
    """A stored flow, parsed. `key` is what people start it by; `id` is the id in its own system.

    `digest` is the SHA-256, hex, of the bytes of the document it came from.
    """

    key: str
    id: str
    name: str
    file: str
    format: FormatName
    tree: Tree
    digest: str = ""
    version: str = ""
    category: str = ""
    schemes: tuple[Scheme, ...] = ()


class Library(Protocol):
    """Where child templates are looked up that the file at hand does not hold."""

    def find(self, template_id: str, version: str | None) -> Mapping[str, JsonValue] | None:
        """Return the web tree of a template, or None; `version` None means the current one."""
        ...
