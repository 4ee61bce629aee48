"""Normalise: a web or engine tree becomes a typed Tree, one spelling and every default filled in.

Whatever is wrong is reported and read on, so that all findings come at once. Nested trees are
walked with a list, not by recursion: they may nest deeper than Python's stack likes.

Source: bk-sops format_web_data_to_pipeline, which turns web trees into engine trees.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, TypeGuard

from pydantic import JsonValue

from stdops import Diagnostic
from translator.formats import policies
from translator.formats.document import Document, Json
from translator.formats.fields import Fields, Findings, bare_key, hint, is_wrapped, pointer, shown
from translator.formats.nested import (
    CHILD_INPUT,
    CHILD_PLUGIN,
    SUBFLOW_TYPES,
    calls,
)
from translator.formats.stored import is_engine_tree
from translator.formats.variables import (
    LAZY_TYPES,
    engine_value,
    engine_variables,
    is_shown,
    rendered,
    web_value,
    web_variables,
)
from translator.plan import NodeId, VariableKey
from translator.template import (
    Edge,
    GatewayKind,
    SourceCondition,
    SourceEvent,
    SourceGateway,
    SourceSubflow,
    SourceTask,
    SourceValue,
    SourceVariable,
    Tree,
)

TASK: Final = "ServiceActivity"
GATEWAY_KINDS: Final[Mapping[str, GatewayKind]] = {
    "ExclusiveGateway": "exclusive",
    "ParallelGateway": "parallel",
    "ConditionalParallelGateway": "conditional_parallel",
    "ConvergeGateway": "converge",
}
START_TYPES: Final = ("EmptyStartEvent",)
END_TYPES: Final = ("EmptyEndEvent", "ExecutableEndEvent")

_WEB_SECTIONS: Final = ("activities", "gateways", "flows", "constants", "outputs")
_EXECUTOR_INPUT: Final = "__executor_proxy"
_CONDITIONAL: Final = ("exclusive", "conditional_parallel")
_NO_PLACES: Final[Mapping[str, str]] = MappingProxyType({})


def normalize(
    document: Document, tree: Json, places: Mapping[str, str] = _NO_PLACES
) -> tuple[Tree | None, list[Diagnostic]]:
    """Return the typed form of `tree`, and every structural error in it and its nested trees.

    `places` gives the pointers of nested trees that stand elsewhere in the file. The result is
    None where there is no start or no end to build on.
    """
    nests = _nested(tree, document.at, places)
    done: list[Tree | None] = [None] * len(nests)
    findings = [Findings(document.file) for _ in nests]
    for index in reversed(range(len(nests))):  # children come behind their parents
        nest = nests[index]
        children = {node: done[child] for node, child in nest.children.items()}
        fields = Fields(nest.tree, nest.at, "the tree", findings[index])
        done[index] = _Reader(fields, children, engine=nest.engine).tree()
    return done[0], [found for each in findings for found in each.items]


class _Nest(NamedTuple):
    tree: Json
    at: str
    children: dict[NodeId, int]
    engine: bool


def _nested(tree: Json, at: str, places: Mapping[str, str]) -> list[_Nest]:
    """Return a tree and the trees nested in it, parents first."""
    nests = [_Nest(tree, at, {}, engine=is_engine_tree(tree))]
    for nest in nests:  # grows while it is walked
        for call in calls(nest.tree, nest.at):
            child = call.holder.get("pipeline")
            if isinstance(child, dict):
                nest.children[call.node_id] = len(nests)
                # the tree of an independent child stays a web tree inside an engine tree
                engine = is_engine_tree(child) if call.is_child else nest.engine
                nests.append(_Nest(child, places.get(call.place, call.place), {}, engine=engine))
    return nests


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one tree; `children` are its nested trees, read before."""

    fields: Fields
    children: Mapping[NodeId, Tree | None]
    engine: bool

    def tree(self) -> Tree | None:
        """Return the tree, or None without a start or an end."""
        fields = self.fields
        start = self._event("start_event", START_TYPES)
        end = self._event("end_event", END_TYPES)
        variables = engine_variables(fields) if self.engine else web_variables(fields)
        for name in ("activities", "flows") if self.engine else _WEB_SECTIONS:
            if fields.raw.get(name) is None:
                fields.missing(name)
        tasks, subflows = self._activities(variables)
        gateways = self._gateways()
        edges = self._edges()
        outputs, outputs_at = self._outputs()
        if start is None or end is None:
            return None
        return Tree(
            id=fields.text("id"),
            at=fields.at,
            start=start,
            end=end,
            tasks=tasks,
            subflows=subflows,
            gateways=gateways,
            edges=edges,
            variables=variables,
            outputs=outputs,
            outputs_at=outputs_at,
        )

    def _event(self, name: str, types: Sequence[str]) -> SourceEvent | None:
        event = self.fields.needed_part(name)
        if event is None:
            return None
        event.what, event.prefix = f"the {name.replace('_', ' ')}", ""
        _node_type(event, types)
        node_id = event.needed_text("id")
        if not self.engine:
            _want_name(event)
        if not node_id:
            return None
        return SourceEvent(
            id=node_id,
            at=event.at,
            name=event.text("name"),
            incoming=event.ids("incoming"),
            outgoing=event.ids("outgoing"),
        )

    # --- activities ----------------------------------------------------------------------------

    def _activities(
        self, variables: Mapping[VariableKey, SourceVariable]
    ) -> tuple[dict[NodeId, SourceTask], dict[NodeId, SourceSubflow]]:
        tasks: dict[NodeId, SourceTask] = {}
        subflows: dict[NodeId, SourceSubflow] = {}
        for node_id, node in self.fields.objects("activities", "node"):
            self._name(node, node_id)
            kind = _node_type(node, (TASK, *SUBFLOW_TYPES))
            if kind == TASK:
                tasks[node_id] = self._task(node_id, node, variables)
            elif kind:
                subflows[node_id] = self._subflow(node_id, node)
        return tasks, subflows

    def _name(self, node: Fields, node_id: NodeId) -> None:
        """Call a node by its name in messages; check that it is what it stands as."""
        name = node.raw.get("name")
        node.key = name if isinstance(name, str) and name else node_id
        node.check_key("id", node_id)
        if not self.engine:
            _want_name(node)

    def _task(
        self, node_id: NodeId, node: Fields, variables: Mapping[VariableKey, SourceVariable]
    ) -> SourceTask:
        component = node.needed_part("component")
        inputs = self._inputs(component, variables) if component else {}
        child = None
        if component and component.raw.get("code") == CHILD_PLUGIN:
            child = self._child(node_id, node, component)
            inputs = {**child.params}
        proxy = inputs.pop(_EXECUTOR_INPUT, None)
        ignorable = node.flag("error_ignorable", default=False)
        skippable = policies.old_or_new_flag(node, "skippable", "isSkipped")
        return SourceTask(
            id=node_id,
            at=node.at,
            name=node.text("name"),
            incoming=node.ids("incoming"),
            outgoing=node.ids("outgoing"),
            code=component.needed_text("code") if component else "",
            version=(component.text("version") if component else "") or "legacy",
            inputs=inputs,
            optional=node.flag("optional", default=False),
            skippable=skippable or ignorable,  # an ignored failure is passed like a skip
            retryable=policies.old_or_new_flag(node, "retryable", "can_retry"),
            error_ignorable=ignorable,
            auto_retry=policies.auto_retry(node),
            timeout=policies.timeout(node),
            loop=policies.loop(node),
            executor=node.text("executor_proxy") or _text_of(proxy),
            child=child,
        )

    def _child(self, node_id: NodeId, node: Fields, component: Fields) -> SourceSubflow:
        """Return the flow that a task runs as a run of its own, in the shape of a subflow."""
        given = component.part("inputs" if self.engine else "data").needed_part(CHILD_INPUT)
        holder = given.needed_part("value") if given else None
        tree = self.children.get(node_id) if holder else None
        if holder and not (holder.label("template_id") or holder.label("template")):
            holder.needed_entries("pipeline")
        called = ("template_id", "template") if holder else ()
        named = [label for name in called if holder and (label := holder.label(name))]
        origin = node.label("original_template_version")
        return SourceSubflow(
            id=node_id,
            at=holder.at if holder else node.at,
            name=(holder.text("subprocess_name") if holder else "") or node.text("name"),
            incoming=(),
            outgoing=(),
            tree=tree,
            params=self._child_params(node_id, holder) if holder else {},
            template_key=next(iter(named), "") or node.label("original_template_id"),
            version=(holder.label("version") if holder else "") or origin,
        )

    def _inputs(
        self, component: Fields, variables: Mapping[VariableKey, SourceVariable]
    ) -> dict[str, SourceValue]:
        if self.engine:
            return _engine_inputs(component)
        return _web_inputs(component, variables)

    def _subflow(self, node_id: NodeId, node: Fields) -> SourceSubflow:
        shares = node.raw.get("type") == "SubCanvas"
        if self.engine or shares or "template_id" not in node.raw:
            node.needed_entries("pipeline")
        return SourceSubflow(
            id=node_id,
            at=node.at,
            name=node.text("name"),
            incoming=node.ids("incoming"),
            outgoing=node.ids("outgoing"),
            tree=self.children.get(node_id),
            params={} if shares else self._params(node_id, node),
            shares_context=shares,
            optional=node.flag("optional", default=False),
            template_key=node.label("template_id"),
        )

    def _params(self, node_id: NodeId, node: Fields) -> dict[VariableKey, SourceValue]:
        if self.engine:
            params = node.objects("params", "parameter")
            return {bare_key(key): engine_value(entry) for key, entry in params}
        return {key: value for key, _, value in self._web_params(node_id, node)}

    def _child_params(self, node_id: NodeId, node: Fields) -> dict[VariableKey, SourceValue]:
        """Return what an independent child is given: what is not rendered is its own word.

        Source: bk-sops subprocess_plugin.
        """
        found = self._web_params(node_id, node)
        return {key: value for key, constant, value in found if _is_rendered(constant)}

    def _web_params(
        self, node_id: NodeId, node: Fields
    ) -> Iterator[tuple[VariableKey, Fields, SourceValue]]:
        """Yield the shown variables of a nested tree, with what this tree gives to them."""
        pipeline = node.raw.get("pipeline")
        holder = node
        if isinstance(pipeline, dict):
            # findings about the child's own variables are made where the child is read
            holder = Fields(pipeline, f"{node.at}/pipeline", "the tree", Findings())
        for key, constant in holder.objects("constants", "parameter"):
            if is_shown(constant):
                hooked = self._is_hooked(node_id, key, constant.raw.get("value"))
                at = _given_at(node, key) or constant.at
                given = _web_param(constant, f"{at}/value", hooked=hooked)
                yield bare_key(key), constant, given

    def _is_hooked(self, node_id: NodeId, key: str, value: JsonValue) -> bool:
        """Whether `value` is a variable of this tree that is hooked to the child's variable."""
        constants = self.fields.raw.get("constants")
        held = constants.get(value) if isinstance(constants, dict) and _is_text(value) else None
        hooks = held.get("source_info") if isinstance(held, dict) else None
        names = hooks.get(node_id) if isinstance(hooks, dict) else None
        return isinstance(names, list) and key in names

    # --- gateways, edges, outputs --------------------------------------------------------------

    def _gateways(self) -> dict[NodeId, SourceGateway]:
        found: dict[NodeId, SourceGateway] = {}
        for node_id, node in self.fields.objects("gateways", "gateway"):
            self._name(node, node_id)
            kind = GATEWAY_KINDS.get(_node_type(node, tuple(GATEWAY_KINDS)))
            if kind is not None:
                found[node_id] = _gateway(node_id, node, kind)
        return found

    def _edges(self) -> dict[str, Edge]:
        found: dict[str, Edge] = {}
        for edge_id, raw, at in self.fields.members("flows", "edge"):
            source, target = raw.get("source"), raw.get("target")
            whole = source and target and _is_text(source) and _is_text(target)
            if not whole or raw.get("id") != edge_id:  # nearly all pass, and there are many
                edge = self.fields.member(raw, at, "edge", edge_id)
                edge.check_key("id", edge_id)
                source, target = edge.needed_text("source"), edge.needed_text("target")
            found[edge_id] = Edge(edge_id, str(source), str(target), at)
        return found

    def _outputs(self) -> tuple[tuple[VariableKey, ...], str]:
        holder = self.fields.part("data") if self.engine else self.fields
        at = f"{holder.at}/outputs"
        keys = holder.ids("outputs")
        for key in keys if not self.engine else ():
            if not is_wrapped(key):
                what = f"the output {shown(key)} is not of the form ${{name}}"
                fix = f"write it as {shown(f'${{{key}}}')}"
                holder.findings.error("SOP007", at, what, fix)
        return tuple(map(bare_key, keys)), at


# --- nodes ---------------------------------------------------------------------------------------


def _want_name(node: Fields) -> None:
    """Warn of a node without a name, be it empty: bk-sops refuses to store such a tree."""
    if node.raw.get("name") is None:
        what = f"{node.of} has no 'name', which bk-sops asks for"
        node.findings.warn("SOP008", node.at, what, "add the field 'name'")


def _node_type(node: Fields, types: Sequence[str]) -> str:
    """Return the node's type, or "" when it is none that may stand here."""
    kind = node.needed_text("type")
    if not kind or kind in types:
        return kind
    what = f"{node.of} is of type {shown(kind)}"
    node.findings.error("SOP011", pointer(node.at, "type"), what, hint(kind, types))
    return ""


def _gateway(node_id: NodeId, node: Fields, kind: GatewayKind) -> SourceGateway:
    conditions: tuple[SourceCondition, ...] = ()
    default = None
    if kind in _CONDITIONAL:
        node.needed_entries("conditions")
        conditions = tuple(
            SourceCondition(
                edge=edge,
                text=_condition_text(condition),
                at=condition.at,
                name=condition.text("name"),
            )
            for edge, condition in node.objects("conditions", "condition")
        )
        default = _default(node)
    return SourceGateway(
        id=node_id,
        at=node.at,
        name=node.text("name"),
        kind=kind,
        incoming=node.ids("incoming"),
        outgoing=node.ids("outgoing"),
        conditions=conditions,
        default=default,
    )


def _condition_text(condition: Fields) -> str:
    if "evaluate" not in condition.raw:
        condition.missing("evaluate")
    return condition.text("evaluate")


def _default(node: Fields) -> SourceCondition | None:
    default = node.part("default_condition")
    if not default.raw:
        return None
    edge = default.needed_text("flow_id")
    return SourceCondition(edge, "", default.at, default.text("name")) if edge else None


# --- inputs and parameters -----------------------------------------------------------------------


def _web_inputs(
    component: Fields, variables: Mapping[VariableKey, SourceVariable]
) -> dict[str, SourceValue]:
    found: dict[str, SourceValue] = {}
    for name, raw, at in component.members("data", "input"):
        variable = variables.get(bare_key(name)) if name[:1] == "$" else None
        if variable is not None and variable.value is not None:
            found[name] = variable.value  # an input named like a variable is that variable
        elif _is_ordinary(raw):
            found[name] = rendered(raw["value"], f"{at}/value")
        else:
            found[name] = _web_input(component.member(raw, at, "input", name))
    return found


def _is_ordinary(raw: Mapping[str, JsonValue]) -> bool:
    """Whether an input is a value and nothing else; so are nearly all, and time is short."""
    return "value" in raw and raw.get("need_render", True) is True and not raw.get("is_param")


def _web_input(entry: Fields) -> SourceValue:
    if "value" not in entry.raw:
        entry.missing("value")
    value = entry.raw.get("value")
    need_render = entry.flag("need_render", default=True)
    if need_render and entry.flag("is_param", default=False):
        what = f"{entry.of} has both 'is_param' and 'need_render'"
        entry.findings.error("SOP026", entry.at, what, "set one of the two to false")
    at = f"{entry.at}/value"
    return rendered(value, at) if need_render else SourceValue("plain", value, at)


def _engine_inputs(component: Fields) -> dict[str, SourceValue]:
    found: dict[str, SourceValue] = {}
    for name, entry in component.objects("inputs", "input"):
        found[name] = engine_value(entry)
    return found


def _given_at(node: Fields, key: str) -> str:
    """Return the pointer of the value that a subflow gives to its child's variable."""
    given = node.raw.get("constants")
    if not isinstance(given, dict) or key not in given:
        return ""
    return pointer(f"{node.at}/constants", key)


def _web_param(constant: Fields, at: str, *, hooked: bool) -> SourceValue:
    """Return what a subflow gives to a shown variable of its child.

    What is hooked to a variable of the parent is not computed a second time.
    """
    value = constant.raw.get("value")
    if not constant.flag("need_render", default=True):
        return SourceValue("plain", value, at)
    if hooked or constant.text("custom_type") not in LAZY_TYPES:
        return SourceValue("splice", value, at)
    lazy = web_value(constant)
    return SourceValue("lazy", lazy.value, at, lazy.code)


def _is_rendered(constant: Fields) -> bool:
    return constant.flag("need_render", default=True)


def _is_text(value: JsonValue) -> TypeGuard[str]:
    return isinstance(value, str)


def _text_of(value: SourceValue | None) -> str:
    return value.value if value is not None and isinstance(value.value, str) else ""
