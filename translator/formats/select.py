"""Choosing which nodes of a flow run: what to leave out, and a tree without it.

Works on raw trees (web or engine JSON) before they are parsed, as bk-sops does when it creates a
task, so that a template checks and compiles as if the nodes had never been there.

Source: bk-sops task node selection and tree preview; differs: the input tree is not changed.
"""

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, TypeAlias, cast

from pydantic import JsonValue

from stdops import StdopsError
from translator.plan import NodeId, VariableKey
from translator.template import Scheme
from translator.values import references

Json: TypeAlias = dict[str, JsonValue]

_LAST: Final = 1 << 62
"""Display order of a variable that has none: behind all others."""


class SelectionError(StdopsError):
    """The choice of nodes does not fit the template."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__("SOP024", what, where=where, fix=fix)


# --- what to leave out -------------------------------------------------------------------------


def nodes_to_exclude(
    tree: Mapping[str, JsonValue],
    schemes: Iterable[Scheme] = (),
    scheme_ids: Sequence[str | int] = (),
    *,
    must_exist: bool = False,
) -> list[NodeId]:
    """Return the nodes that the chosen schemes leave out, in the tree's order.

    No scheme chosen leaves nothing out. A chosen scheme that does not exist keeps no node, unless
    `must_exist`. Nodes that are not optional always stay.

    Raises:
        SelectionError: with `must_exist`, a chosen scheme does not exist.
    """
    if not scheme_ids:
        return []
    known = {scheme.id: scheme for scheme in schemes}
    chosen = [str(scheme_id) for scheme_id in scheme_ids]
    missing = [scheme_id for scheme_id in chosen if scheme_id not in known]
    if missing and must_exist:
        raise SelectionError(f"unknown scheme {missing[0]!r}", fix=_choice_of_scheme(known))
    keep = {node for scheme_id in chosen if scheme_id in known for node in known[scheme_id].nodes}
    return nodes_except_appointed(tree, keep)


def nodes_except_appointed(
    tree: Mapping[str, JsonValue], appointed: Collection[NodeId]
) -> list[NodeId]:
    """Return the optional nodes that are not appointed; unknown names are ignored."""
    activities = _part(tree, "activities")
    return [
        node_id
        for node_id, node in activities.items()
        if node_id not in appointed and _object(node).get("optional")
    ]


def nodes_except_executed(
    tree: Mapping[str, JsonValue], executed: Collection[NodeId]
) -> list[NodeId]:
    """Return every node that is not to be executed, also those that may not be left out."""
    return [node_id for node_id in _part(tree, "activities") if node_id not in executed]


def _choice_of_scheme(known: Mapping[str, Scheme]) -> str:
    if not known:
        return "the template has no schemes; leave the choice out"
    return "choose from " + ", ".join(f"{each.id!r} ({each.name})" for each in known.values())


# --- a tree without them -----------------------------------------------------------------------


def exclude_nodes(
    tree: Mapping[str, JsonValue], ids: Iterable[NodeId], *, keep_outputs: bool
) -> Json:
    """Return a copy of `tree` without the nodes `ids`.

    Their edges close over the gap, parallel blocks that lead nowhere are taken away, and variables
    that nothing refers to any more are dropped (of a web tree; an engine tree keeps its own).
    `keep_outputs` keeps the flow's outputs among them, as a nested flow needs.

    Raises:
        SelectionError: a node is not in the tree, or may not be left out.
    """
    rest = copy.deepcopy(dict(tree))
    excluded = list(dict.fromkeys(ids))
    for node_id in excluded:
        _check_removable(rest, node_id)
    for node_id in excluded:
        node = _object(_part(rest, "activities").pop(node_id))
        _bridge(rest, _names(node.get("incoming")), _names(node.get("outgoing")))
    removed = [*excluded, *_remove_idle_parallels(rest)]
    _redraw(rest, set(removed))
    if "constants" in rest:
        _trim_variables(rest, excluded, keep_outputs=keep_outputs)
    return rest


def _check_removable(tree: Json, node_id: NodeId) -> None:
    activities = _part(tree, "activities")
    node = activities.get(node_id)
    if node is None:
        near = get_close_matches(node_id, list(activities), n=1)
        fix = f"did you mean {near[0]!r}?" if near else "use the id of a node that runs a plugin"
        raise SelectionError(f"node {node_id!r} to leave out is not in the template", fix=fix)
    if not _object(node).get("optional"):
        what = f"node {node_id!r} ({_object(node).get('name') or 'no name'}) may not be left out"
        fix = "keep it, or mark it optional in the template"
        raise SelectionError(what, where=f"/activities/{node_id}", fix=fix)


def _bridge(tree: Json, arriving: Sequence[str], leaving: Sequence[str]) -> None:
    """Let the edges `arriving` lead to where the edge `leaving` leads, which goes."""
    flows = _part(tree, "flows")
    gone = [_object(flows.pop(edge)) for edge in leaving[:1] if edge in flows]
    for edge in gone:
        target = edge.get("target")
        for name in arriving:
            _object(flows.get(name))["target"] = target
        _replace_arrival(_node(tree, str(target)), leaving[0], arriving)


def _replace_arrival(node: Json, gone: str, arriving: Sequence[str]) -> None:
    """Replace one incoming edge of a node by others, which come last."""
    names = [name for name in _names(node.get("incoming")) if name != gone]
    _set_names(node, "incoming", [*names, *arriving])


def _remove_idle_parallels(tree: Json) -> list[NodeId]:
    """Take away branches that hold nothing, and gateway pairs left without branches.

    An edge from a parallel gateway right to a converge is a branch that holds nothing: the converge
    is then the one that all its branches meet at. Goes on until nothing changes, since a block that
    goes may empty a branch around it.
    """
    removed: list[NodeId] = []
    gateways = _part(tree, "gateways")
    changed = True
    while changed:
        changed = False
        for fork_id in [name for name in gateways if _kind(tree, name) == "ParallelGateway"]:
            if fork_id in gateways:
                pair = _remove_idle_branches(tree, fork_id)
                removed += pair
                changed = changed or bool(pair)
    return removed


def _remove_idle_branches(tree: Json, fork_id: NodeId) -> list[NodeId]:
    """Remove the branches of one fork that hold nothing; return the gateways that went too."""
    flows = _part(tree, "flows")
    fork = _node(tree, fork_id)
    branches = _names(fork.get("outgoing"))
    converge_id, idle = _idle_branches(tree, branches)
    if not idle or not _meets(tree, fork_id, converge_id):
        return []
    converge = _node(tree, converge_id)
    for edge in idle:
        flows.pop(edge)
    arriving = [name for name in _names(converge.get("incoming")) if name not in idle]
    if len(idle) < len(branches):
        _set_names(fork, "outgoing", [name for name in branches if name not in idle])
        _set_names(converge, "incoming", arriving)
        return []
    _bridge(tree, [*_names(fork.get("incoming")), *arriving], _names(converge.get("outgoing")))
    for gateway_id in (fork_id, converge_id):
        _part(tree, "gateways").pop(gateway_id)
    return [fork_id, converge_id]


def _idle_branches(tree: Json, branches: Sequence[str]) -> tuple[NodeId, list[str]]:
    """Return the converge that a branch leads right to, and all branches that do."""
    flows = _part(tree, "flows")
    targets = {edge: str(_object(flows.get(edge)).get("target")) for edge in branches}
    for target in targets.values():
        if _kind(tree, target) == "ConvergeGateway":
            return target, [edge for edge, reached in targets.items() if reached == target]
    return "", []


def _meets(tree: Json, fork_id: NodeId, converge_id: NodeId) -> bool:
    """Whether no way from the fork gets past the converge: else the tree is wrong, and stays so."""
    flows = _part(tree, "flows")
    seen, ahead = {fork_id, converge_id}, [fork_id]
    while ahead:
        edges = _names(_node(tree, ahead.pop()).get("outgoing"))
        if not edges:
            return False
        targets = [str(_object(flows.get(edge)).get("target")) for edge in edges]
        fresh = [target for target in targets if target not in seen]
        seen.update(fresh)
        ahead += fresh
    return True


def _redraw(tree: Json, removed: set[NodeId]) -> None:
    """Keep the drawing in step with the graph, where the tree has one."""
    flows = _part(tree, "flows")
    lines, places = tree.get("line"), tree.get("location")
    if isinstance(lines, list):
        kept = [_object(line) for line in lines if str(_object(line).get("id")) in flows]
        for line in kept:
            _object(line.get("target"))["id"] = _object(flows[str(line["id"])]).get("target")
        tree["line"] = cast("JsonValue", kept)
    if isinstance(places, list):
        tree["location"] = [each for each in places if _object(each).get("id") not in removed]


# --- variables ---------------------------------------------------------------------------------


def _trim_variables(tree: Json, excluded: Collection[NodeId], *, keep_outputs: bool) -> None:
    """Drop the variables that nothing refers to; outputs of nodes always stay."""
    constants = _part(tree, "constants")
    outputs = tree.get("outputs")
    wanted = set(_names(outputs)) if keep_outputs else set[str]()
    kept = _referenced(_texts(tree), constants)
    for key, variable in constants.items():
        origin = _object(variable).get("source_type")
        if origin == "component_outputs" or (origin == "custom" and key in wanted):
            kept.add(key)
    ordered = sorted(
        (key for key in constants if key in kept), key=lambda key: _order(constants, key)
    )
    tree["constants"] = {key: constants[key] for key in ordered}
    for index, key in enumerate(ordered):
        _renumber(_object(constants[key]), index, excluded)
    if isinstance(outputs, list):
        tree["outputs"] = [key for key in outputs if key in kept]


def _renumber(variable: Json, index: int, excluded: Collection[NodeId]) -> None:
    variable["index"] = index
    hooks = _object(variable.get("source_info"))
    for node_id in excluded:
        hooks.pop(node_id, None)


def _order(constants: Json, key: str) -> float:
    index = _object(constants[key]).get("index")
    return index if isinstance(index, int | float) else _LAST


def _texts(tree: Json) -> list[JsonValue]:
    """Return every value of the nodes of a tree that may refer to a variable."""
    values: list[JsonValue] = []
    for node in map(_object, _part(tree, "activities").values()):
        component = _object(node.get("component"))
        values += [_object(each).get("value") for each in _object(component.get("data")).values()]
        values += _given_to_child(node)
    for gateway in map(_object, _part(tree, "gateways").values()):
        ways = [*_object(gateway.get("conditions")).values(), gateway.get("default_condition")]
        values += [_object(way).get("evaluate") for way in ways]
    return values


def _given_to_child(node: Json) -> list[JsonValue]:
    """Return the values that a subflow's node gives to its child, unfolded or not."""
    given = node.get("constants") or _object(node.get("pipeline")).get("constants")
    shown = [_object(each) for each in _object(given).values()]
    return [each.get("value") for each in shown if each.get("show_type") == "show"]


def _referenced(values: Iterable[JsonValue], constants: Json) -> set[str]:
    """Return the keys (with `${}`) that values refer to, through other variables too."""
    found: set[str] = set()
    ahead = list(values)
    while ahead:
        for name in references(ahead.pop()):
            key = _wrap(name)
            if key in constants and key not in found:
                found.add(key)
                ahead.append(_object(constants[key]).get("value"))
    return found


def _wrap(name: VariableKey) -> str:
    return f"${{{name}}}"


# --- raw trees ---------------------------------------------------------------------------------


def _object(value: JsonValue) -> Json:
    """Return `value` itself when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _part(tree: Mapping[str, JsonValue], name: str) -> Json:
    return _object(tree.get(name))


def _names(value: JsonValue) -> list[str]:
    """Return edge ids from the text or list that the formats allow."""
    if isinstance(value, list):
        return [str(name) for name in value]
    return [value] if isinstance(value, str) and value else []


def _set_names(node: Json, field: str, names: Sequence[str]) -> None:
    """Write edge ids back in the shape that the node has them in: one text stays one text."""
    one = isinstance(node.get(field), str) and len(names) == 1
    node[field] = names[0] if one else [*names]


def _node(tree: Json, node_id: NodeId) -> Json:
    """Return a node of any kind; an empty object when there is none."""
    for part in ("activities", "gateways"):
        if node_id in _part(tree, part):
            return _object(_part(tree, part)[node_id])
    events = (_part(tree, "start_event"), _part(tree, "end_event"))
    found = [event for event in events if event.get("id") == node_id]
    return found[0] if found else {}


def _kind(tree: Json, node_id: NodeId) -> str:
    return str(_object(_part(tree, "gateways").get(node_id)).get("type"))
