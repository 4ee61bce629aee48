"""Builds minimal trees and templates for tests from chains of node names.

`tree("start a fork1", "fork1 b join1", "fork1 c join1", "join1 end")`: each string is a chain of
edges. A name says what the node is by how it begins: `fork` a parallel gateway, `some` a
conditional one, `xor` an exclusive one, `join` a converge, `sub` a subflow; anything else is a
task. An edge is called `<source>-<target>`, a second one between the same nodes gets `#2`.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from pydantic import JsonValue

from translator.check import check
from translator.rules.context import Catalog, PluginFacts, PluginInput, Rule
from translator.template import (
    Edge,
    FormatName,
    GatewayKind,
    SourceCondition,
    SourceEvent,
    SourceGateway,
    SourceSubflow,
    SourceTask,
    SourceValue,
    SourceVariable,
    Template,
    Tree,
)

KINDS: Final[Mapping[str, GatewayKind]] = {
    "fork": "parallel",
    "some": "conditional_parallel",
    "xor": "exclusive",
    "join": "converge",
}
ENGINE_KINDS: Final[Mapping[str, GatewayKind]] = {
    "ParallelGateway": "parallel",
    "ConditionalParallelGateway": "conditional_parallel",
    "ExclusiveGateway": "exclusive",
    "ConvergeGateway": "converge",
}


def value(raw: JsonValue, at: str = "", code: str = "") -> SourceValue:
    """Classify `raw` roughly: a splice where it has `${`, lazy where `code` is given."""
    kind = "lazy" if code else "splice" if "${" in repr(raw) else "plain"
    return SourceValue(kind, raw, at, code)


def variable(
    key: str, raw: JsonValue = "", *, code: str = "", sources: Iterable[tuple[str, str]] = ()
) -> SourceVariable:
    """Build a variable; one with `sources` has no value of its own."""
    pairs = tuple(sources)
    given = None if pairs else value(raw, f"/constants/{key}/value", code)
    origin = "output" if pairs else "given"
    return SourceVariable(key, given, f"/constants/{key}", pairs, key, origin, custom_type=code)


def variables(*found: SourceVariable) -> dict[str, SourceVariable]:
    """Key variables by their keys."""
    return {each.key: each for each in found}


def edges_of(chains: Iterable[str]) -> dict[str, Edge]:
    """Turn chains of names into edges, in order."""
    edges: dict[str, Edge] = {}
    for chain in chains:
        names = chain.split()
        for source, target in pairwise(names):
            key, number = f"{source}-{target}", 2
            while key in edges:
                key, number = f"{source}-{target}#{number}", number + 1
            edges[key] = Edge(key, source, target, f"/flows/{key}")
    return edges


def ends_of(edges: Mapping[str, Edge]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return per node the edges that lead into it, and those that lead out of it."""
    into: dict[str, list[str]] = {}
    out_of: dict[str, list[str]] = {}
    for edge in edges.values():
        into.setdefault(edge.target, []).append(edge.id)
        out_of.setdefault(edge.source, []).append(edge.id)
    return into, out_of


def task(
    name: str, *, inputs: Mapping[str, JsonValue] | None = None, code: str = "echo", **options: Any
) -> SourceTask:
    """Build a task without edges; `tree` fills them in."""
    at = f"/activities/{name}"
    given = {key: value(raw, f"{at}/inputs/{key}") for key, raw in (inputs or {}).items()}
    version = str(options.pop("version", "legacy"))
    return SourceTask(name, at, name, (), (), code, version, given, **options)


def subflow(name: str, tree: Tree | None = None, **options: Any) -> SourceSubflow:
    """Build a subflow without edges; `tree` fills them in."""
    params: Mapping[str, JsonValue] = options.pop("params", {})
    at = f"/activities/{name}"
    given = {key: value(raw, f"{at}/params/{key}") for key, raw in params.items()}
    return SourceSubflow(name, at, name, (), (), tree, given, **options)


def gateway(name: str, outgoing: Iterable[str], texts: Mapping[str, str]) -> SourceGateway:
    """Build a gateway whose edges have the conditions of `texts`, else `1 == 1`."""
    at = f"/gateways/{name}"
    kind: GatewayKind = next(KINDS[prefix] for prefix in KINDS if name.startswith(prefix))
    edges = tuple(outgoing) if kind in {"exclusive", "conditional_parallel"} else ()
    conditions = tuple(
        SourceCondition(edge, texts.get(edge, "1 == 1"), f"{at}/conditions/{edge}")
        for edge in edges
    )
    return SourceGateway(name, at, name, kind, (), (), conditions)


def tree(
    *chains: str,
    nodes: Iterable[SourceTask | SourceSubflow] = (),
    conditions: Mapping[str, str] | None = None,
    variables: Mapping[str, SourceVariable] | None = None,
    outputs: Iterable[str] = (),
) -> Tree:
    """Build a tree from `chains`; `nodes` are those that need more than a name."""
    edges = edges_of(chains)
    into, out_of = ends_of(edges)
    given = {node.id: node for node in nodes}
    names = dict.fromkeys(name for chain in chains for name in chain.split())
    tasks: dict[str, SourceTask] = {}
    subflows: dict[str, SourceSubflow] = {}
    gateways: dict[str, SourceGateway] = {}
    for name in names:
        incoming, outgoing = tuple(into.get(name, ())), tuple(out_of.get(name, ()))
        found = given.get(name)
        if name in {"start", "end"}:
            continue
        if any(name.startswith(prefix) for prefix in KINDS) and found is None:
            built = gateway(name, outgoing, conditions or {})
            gateways[name] = built._replace(incoming=incoming, outgoing=outgoing)
        elif isinstance(found, SourceSubflow) or (found is None and name.startswith("sub")):
            sub = found if isinstance(found, SourceSubflow) else subflow(name, tree("start n end"))
            subflows[name] = sub._replace(incoming=incoming, outgoing=outgoing)
        else:
            step = found if isinstance(found, SourceTask) else task(name)
            tasks[name] = step._replace(incoming=incoming, outgoing=outgoing)
    return Tree(
        id="p",
        at="",
        start=event("start", edges),
        end=event("end", edges),
        tasks=tasks,
        subflows=subflows,
        gateways=gateways,
        edges=edges,
        variables=variables or {},
        outputs=tuple(outputs),
        outputs_at="/outputs",
    )


def event(name: str, edges: Mapping[str, Edge]) -> SourceEvent:
    """Build the start or end event with its edges."""
    incoming = tuple(edge.id for edge in edges.values() if edge.target == name)
    outgoing = tuple(edge.id for edge in edges.values() if edge.source == name)
    return SourceEvent(name, f"/{name}_event", name, incoming, outgoing)


def template(root: Tree, file_format: FormatName = "web") -> Template:
    """Wrap a tree."""
    return Template("flow", "1", "flow", "flow.json", file_format, root)


def without_node(found: Tree, node: str) -> Tree:
    """Take a task away and leave its edges."""
    return found._replace(tasks={key: each for key, each in found.tasks.items() if key != node})


def engine_tree(document: Mapping[str, Any]) -> Tree:
    """Read the graph of an engine tree (no inputs, no variables)."""
    activities: Mapping[str, Mapping[str, Any]] = document["activities"]
    tasks = {
        key: SourceTask(key, f"/activities/{key}", key, *_ways(act), "echo", "legacy")
        for key, act in activities.items()
        if act["type"] != "SubProcess"
    }
    subflows = {
        key: SourceSubflow(
            key, f"/activities/{key}", key, *_ways(act), engine_tree(act["pipeline"])
        )
        for key, act in activities.items()
        if act["type"] == "SubProcess"
    }
    gateways = {
        key: SourceGateway(key, f"/gateways/{key}", key, ENGINE_KINDS[each["type"]], *_ways(each))
        for key, each in document["gateways"].items()
    }
    edges = {
        key: Edge(key, each["source"], each["target"], f"/flows/{key}")
        for key, each in document["flows"].items()
    }
    return Tree(
        id=str(document.get("id", "")),
        at="",
        start=_engine_event(document["start_event"]),
        end=_engine_event(document["end_event"]),
        tasks=tasks,
        subflows=subflows,
        gateways=gateways,
        edges=edges,
        variables={},
    )


def _engine_event(found: Mapping[str, Any]) -> SourceEvent:
    return SourceEvent(found["id"], f"/{found['id']}", "", *_ways(found))


def _ways(found: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return incoming and outgoing as tuples; the stored form may be text, a list or empty."""

    def listed(raw: str | list[str]) -> tuple[str, ...]:
        return (raw,) if isinstance(raw, str) and raw else tuple(raw)

    return listed(found["incoming"]), listed(found["outgoing"])


# --- rules -----------------------------------------------------------------------------------

Found = tuple[str, str, str]
"""Severity, JSON pointer and text of one finding."""


class Plugins:
    """A catalog of the plugins given to it; `lazy` are the known types of lazy variables."""

    def __init__(self, *facts: PluginFacts, lazy: Iterable[str] = ()) -> None:
        self._facts = {(each.code, each.version): each for each in facts}
        self._lazy = tuple(lazy)

    def plugin(self, code: str, version: str) -> PluginFacts | None:
        return self._facts.get((code, version))

    def called(
        self, code: str, version: str, inputs: Mapping[str, JsonValue]
    ) -> PluginFacts | None:
        return self.plugin(code, version)

    def versions(self, code: str) -> tuple[str, ...]:
        return tuple(version for known, version in self._facts if known == code)

    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(code for code, _ in self._facts))

    def lazy_codes(self) -> tuple[str, ...]:
        return self._lazy


def plugin(code: str, *inputs: PluginInput, version: str = "legacy") -> PluginFacts:
    """Build the facts of a plugin that takes `inputs` and no others."""
    return PluginFacts(code, version, code, inputs, ("_result",), open_inputs=False)


class Harness:
    """Runs one rule over minimal trees and compares what it finds."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def valid(
        self, root: Tree, catalog: Catalog | None = None, file_format: FormatName = "web"
    ) -> None:
        """Assert that the rule finds nothing."""
        self.diagnostics(root, [], catalog, file_format)

    def diagnostics(
        self,
        root: Tree,
        expected: list[Found],
        catalog: Catalog | None = None,
        file_format: FormatName = "web",
    ) -> None:
        """Assert that the rule finds exactly `expected`, each in the style of a message."""
        assert self.found(root, catalog, file_format) == expected

    def found(
        self, root: Tree, catalog: Catalog | None = None, file_format: FormatName = "web"
    ) -> list[Found]:
        """Return what the rule finds; asserts that each message keeps to the style."""
        found = check(template(root, file_format), catalog, [self._rule])
        for each in found:
            assert each.code == self._rule.code
            assert each.fix
            assert not (each.what + each.fix).endswith(".")
            assert "\n" not in each.what + each.fix
        return [(each.severity, each.where.path, each.what) for each in found]
