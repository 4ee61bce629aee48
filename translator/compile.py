"""A checked Template compiled to a Plan: the only place where a Plan is made.

Everything that can be decided before a run is decided here: values are classified, conditions
parsed, gateways matched to their converge, and the variables that each node reads are closed over.
"""

from collections.abc import Collection, Iterable, Mapping

from translator.graph import match_gateways
from translator.plan import (
    Branch,
    Child,
    Condition,
    ConditionalParallel,
    Converge,
    EdgeId,
    End,
    Exclusive,
    Flow,
    Literal,
    Node,
    NodeId,
    Parallel,
    Plan,
    PluginRef,
    Ref,
    Start,
    Subflow,
    Task,
    Value,
    Variable,
    VariableKey,
    Write,
)
from translator.template import (
    SourceCondition,
    SourceGateway,
    SourceSubflow,
    SourceTask,
    SourceValue,
    SourceVariable,
    Template,
    Tree,
)
from translator.values import ReferenceCycle, classify, closure, reads
from translator.values.conditions import parse_condition

SECRET_TYPES = frozenset({"password"})
SECONDARY = "_"


def compile_template(template: Template) -> Plan:
    """Compile a template whose checks found no error."""
    return Plan(
        template_key=template.key,
        name=template.name,
        version=template.version,
        source_digest=template.digest,
        flow=compile_tree(template.tree),
    )


def compile_tree(tree: Tree) -> Flow:
    """Compile one flow and the flows nested in it."""
    return _Compiler(tree).flow()


class _Compiler:
    """Compiles one tree; holds what its parts share."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.plugins: dict[tuple[str, str], PluginRef] = {}
        self.variables = {key: _variable(v, tree.variables) for key, v in tree.variables.items()}
        self.writes = _writes(tree.variables.values())
        self.converges = match_gateways(tree).converge
        self._add_lazy()

    def flow(self) -> Flow:
        tree = self.tree
        made: dict[NodeId, Node] = {}
        made[tree.start.id] = Start(
            id=tree.start.id, name=tree.start.name, next=self.target(tree.start.outgoing[0])
        )
        made.update({key: self.task(task) for key, task in tree.tasks.items()})
        made.update({key: self.subflow(sub) for key, sub in tree.subflows.items()})
        made.update({key: self.gateway(gateway) for key, gateway in tree.gateways.items()})
        made[tree.end.id] = End(id=tree.end.id, name=tree.end.name)
        return Flow(start=tree.start.id, nodes=made, variables=self.variables, outputs=tree.outputs)

    def _add_lazy(self) -> None:
        """Give each lazy input and parameter a variable of its own, as the engine does."""
        given = [(t.id, t.inputs) for t in self.tree.tasks.values()]
        given += [(s.id, s.params) for s in self.tree.subflows.values()]
        for node_id, values in given:
            for key, source in values.items():
                if source.kind == "lazy":
                    lazy_key = f"{key}{SECONDARY}{node_id}"
                    self.variables[lazy_key] = self._lazy(lazy_key, source)

    def _lazy(self, key: VariableKey, source: SourceValue) -> Variable:
        value = classify(source.value, self.tree.variables)
        return Variable(
            key=key,
            kind="lazy",
            value=value,
            code=source.code,
            secret=source.code in SECRET_TYPES,
            reads=reads(value),
        )

    def target(self, edge: EdgeId) -> NodeId:
        return self.tree.edges[edge].target

    def value(self, node_id: NodeId, key: str, source: SourceValue) -> Value:
        match source.kind:
            case "plain":
                return Literal(value=source.value)
            case "lazy":
                return Ref(key=f"{key}{SECONDARY}{node_id}")
            case "splice":
                return classify(source.value, self.tree.variables)

    def reads(self, values: Iterable[Value]) -> tuple[VariableKey, ...]:
        """Close over the variables that values need; a cycle is the checks' to report."""
        kept = [value for value in values if not isinstance(value, Literal)]
        if not kept:
            return ()
        try:
            return tuple(closure(kept, self.variables.get))
        except ReferenceCycle:
            return tuple(dict.fromkeys(key for value in kept for key in reads(value)))

    def plugin(self, code: str, version: str) -> PluginRef:
        """Return the one reference to a plugin that all its tasks share."""
        found = self.plugins.get((code, version))
        if found is None:
            found = self.plugins[code, version] = PluginRef(code=code, version=version)
        return found

    def task(self, task: SourceTask) -> Task:
        inputs = {key: self.value(task.id, key, source) for key, source in task.inputs.items()}
        return Task(
            id=task.id,
            name=task.name,
            next=self.target(task.outgoing[0]),
            plugin=self.plugin(task.code, task.version or "legacy"),
            inputs=inputs,
            raw=tuple(key for key, source in task.inputs.items() if source.kind == "plain"),
            verbatim=tuple(key for key, source in task.inputs.items() if source.verbatim),
            writes=self.writes.get(task.id, ()),
            optional=task.optional,
            skippable=task.skippable,
            retryable=task.retryable,
            error_ignorable=task.error_ignorable,
            auto_retry=task.auto_retry,
            timeout=task.timeout,
            loop=task.loop,
            executor=task.executor,
            reads=self.reads(inputs.values()),
            child=_child(task.child) if task.child else None,
        )

    def subflow(self, sub: SourceSubflow) -> Subflow:
        if sub.tree is None:
            raise ValueError(f"subflow {sub.id!r} has no tree: an unchecked template")
        params = {key: self.value(sub.id, key, source) for key, source in sub.params.items()}
        return Subflow(
            id=sub.id,
            name=sub.name,
            next=self.target(sub.outgoing[0]),
            flow=compile_tree(sub.tree),
            params=params,
            writes=self.writes.get(sub.id, ()),
            shares_context=sub.shares_context,
            optional=sub.optional,
            template_key=sub.template_key,
            reads=self.reads(params.values()),
        )

    def gateway(self, gateway: SourceGateway) -> Node:
        id_, name = gateway.id, gateway.name
        branches = tuple(self.branch(condition) for condition in gateway.conditions)
        default = self.way(gateway.default) if gateway.default else None
        converge = self.converges.get(id_) or ""
        match gateway.kind:
            case "converge":
                return Converge(id=id_, name=name, next=self.target(gateway.outgoing[0]))
            case "exclusive":
                return Exclusive(id=id_, name=name, branches=branches, default=default)
            case "conditional_parallel":
                return ConditionalParallel(
                    id=id_, name=name, branches=branches, default=default, converge=converge
                )
            case "parallel":
                ways = tuple(Branch(edge=e, target=self.target(e)) for e in gateway.outgoing)
                return Parallel(id=id_, name=name, branches=ways, converge=converge)

    def way(self, source: SourceCondition) -> Branch:
        return Branch(edge=source.edge, target=self.target(source.edge), name=source.name)

    def branch(self, source: SourceCondition) -> Branch:
        condition = parse_condition(source.text, self.tree.variables)
        closed = self.reads(Ref(key=key) for key in condition.reads)
        return self.way(source).model_copy(update={"condition": _with_reads(condition, closed)})


def _child(source: SourceSubflow) -> Child:
    if source.tree is None:
        raise ValueError(f"child {source.id!r} has no tree: an unchecked template")
    return Child(
        flow=compile_tree(source.tree),
        name=source.name,
        template_key=source.template_key,
        version=source.version,
    )


def _with_reads(condition: Condition, closed: tuple[VariableKey, ...]) -> Condition:
    return condition.model_copy(update={"reads": closed})


def _variable(source: SourceVariable, declared: Collection[VariableKey]) -> Variable:
    """Compile a variable; one without a value waits for the node that writes it."""
    shared = Variable(
        key=source.key,
        kind="output",
        name=source.name,
        origin=source.origin,
        shown=source.shown,
        secret=source.custom_type in SECRET_TYPES,
        custom_type=source.custom_type,
        pattern=source.pattern,
        pre_render=source.pre_render,
    )
    if source.value is None:
        return shared
    plain = source.value.kind == "plain"
    value = Literal(value=source.value.value) if plain else classify(source.value.value, declared)
    return shared.model_copy(
        update={
            "kind": source.value.kind,
            "value": value,
            "code": source.value.code,
            "reads": reads(value),
        }
    )


def _writes(variables: Iterable[SourceVariable]) -> Mapping[NodeId, tuple[Write, ...]]:
    """Return, by node, which of its outputs go to which variables."""
    found: dict[NodeId, tuple[Write, ...]] = {}
    for variable in variables:
        for node_id, output in variable.sources:
            write = Write(output=output, variable=variable.key)
            found[node_id] = (*found.get(node_id, ()), write)
    return found
