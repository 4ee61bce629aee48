"""Attributes of hosts changed, and broken machines replaced.

Source: plugins' reference, section 3.3; differs: `cc_batch_update_host` sends the id of a choice,
where the real one checks it and sends its name, and changes all hosts that a cell names, where the
real one takes any one of them.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.addresses import read_addresses, read_hosts
from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json, as_object
from activities.blueking.cmdb.attributes import attributes, cast_row, chosen
from activities.blueking.cmdb.series import Change, in_turn
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import (
    HOST_FIELDS,
    HostInfo,
    Scope,
    host_ids,
    host_info,
    placed_hosts,
    topo_rows,
)
from activities.blueking.rows import Row, as_texts, expanded, without_empty
from activities.blueking.scope import scope_of
from activities.calls import Call, PluginError

CHOICES: Final = {
    "bk_isp_name": "所属运营商",
    "bk_state_name": "所在国家",
    "bk_province_name": "所在省份",
}
"""Attributes of a host that are choices, and what error texts call them."""

_IP: Final = "bk_host_innerip"


async def _update(call: Call[Form]) -> Written | None:
    """Change one attribute of hosts."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    ids = await host_ids(bk, scope, form.text("cc_host_ip"), with_cloud=True)
    known = await attributes(bk, scope, "host")
    change: Row = {form.line("cc_host_property"): form.raw("cc_host_prop_value")}
    await bk.call(
        "cc.update_host",
        {
            "bk_host_id": ",".join(map(str, ids)),
            "bk_supplier_account": scope.supplier,
            "data": _properties(known, change),
        },
    )
    return None


async def _batch_update(call: Call[Form]) -> Written | None:
    """Change the attributes of the hosts that each row names, all by one call."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context)
    rows = as_texts(form.rows("cc_host_property_custom"))
    if form.line("cc_host_update_method") == "auto":
        rows = expanded(rows, form.text("cc_auto_separator") or ",")
    known = await attributes(bk, scope, "host")
    update: list[JsonValue] = []
    for row in rows:
        ids = await host_ids(bk, scope, str(row.pop(_IP, "")), with_cloud=True)
        properties = _properties(known, without_empty(row))
        update += [_updated(each, properties) for each in ids]
    await bk.call("cc.batch_update_host", {"bk_supplier_account": scope.supplier, "update": update})
    return None


def _updated(host_id: int, properties: Json) -> Json:
    return {"bk_host_id": host_id, "properties": properties}


def _properties(known: list[Json], row: Row) -> Json:
    """Return attributes as CMDB wants them, choices by their ids.

    Raises:
        PluginError: a choice is none, or a value is of another type.
    """
    picked: Json = {
        key: chosen(known, key, cell, CHOICES[key]) if key in CHOICES else cell
        for key, cell in row.items()
    }
    return cast_row(known, picked)


# --- values made by rules ---------------------------------------------------------------------


class _Facts(NamedTuple):
    """The attributes of a host, of its sets and of its modules, as far as rules read them."""

    own: Json
    sets: list[Json]
    modules: list[Json]


async def _change_by_rules(call: Call[Form]) -> Written | None:
    """Give each host a value that is put together from its own, its sets' and its modules'."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context)
    rules = _rules(form)
    if not rules:
        raise PluginError("请选择至少一种规则")
    hosts = await placed_hosts(bk, scope, form.text("cc_ip_list"))
    facts = await _facts(bk, scope, hosts, rules)
    attribute = form.line("cc_custom_property")
    update: list[JsonValue] = []
    for at, host in enumerate(hosts):
        value = "".join(_part(rule, facts[at], host.ip, at) for rule in rules)
        update.append(_updated(host.id, {attribute: value}))
    await bk.call("cc.batch_update_host", {"update": update})
    return None


def _rules(form: Fields) -> list[Fields]:
    """Return the rules in their order, which is that of texts: 10 comes before 2."""
    rows = [*form.rows("cc_hostname_rule"), *form.rows("cc_custom_rule")]
    return sorted(map(Fields, rows), key=lambda rule: rule.text("field_order"))


def _part(rule: Fields, facts: _Facts, ip: str, at: int) -> str:
    """Return what a rule adds to a host's value; `at` is the host's place among them, from 0."""
    content = rule.text("field_content")
    match code := rule.line("field_rule_code"):
        case "1":
            return _joined([facts.own], content)
        case "2":
            return _joined(facts.sets, content)
        case "3":
            return _joined(facts.modules, content)
        case "4":
            return ip.replace(".", content)
        case "5":
            return str(rule.integer("field_content") + at)
        case "6":
            return content
        case _:
            raise PluginError(f"field_rule_code {code!r} is none of 1 to 6")


def _joined(found: Sequence[Json], attribute: str) -> str:
    values = [each.get(attribute) for each in found]
    return "".join(str(value) for value in values if value not in (None, ""))


async def _facts(
    bk: BlueKing, scope: Scope, hosts: Sequence[HostInfo], rules: Sequence[Fields]
) -> list[_Facts]:
    """Return what the rules read, for each host."""
    own = await _own(bk, hosts) if _read(rules, "1") else [Json() for _ in hosts]
    sets = await _by_id(bk, scope, "set", [s for h in hosts for s, _ in h.sets], rules)
    modules = await _by_id(bk, scope, "module", [m for h in hosts for m, _ in h.modules], rules)
    return [
        _Facts(
            own[at],
            [sets[number] for number, _ in host.sets if number in sets],
            [modules[number] for number, _ in host.modules if number in modules],
        )
        for at, host in enumerate(hosts)
    ]


def _read(rules: Sequence[Fields], code: str) -> list[str]:
    """Return the attributes that the rules of a code read, each once."""
    named = [each for each in rules if each.line("field_rule_code") == code]
    return list(dict.fromkeys(each.text("field_content") for each in named))


async def _own(bk: BlueKing, hosts: Sequence[HostInfo]) -> list[Json]:
    """Return the attributes of hosts.

    Raises:
        PluginError: CMDB refuses.
        httpx.HTTPError: CMDB has not taken a call.
    """
    found = await bk.at_once(lambda host: _host_facts(bk, host), hosts)
    for each in found:
        if isinstance(each, Exception):
            raise each
    return [each for each in found if isinstance(each, dict)]


async def _host_facts(bk: BlueKing, host: HostInfo) -> Json:
    rows = await bk.rows("cc.get_host_base_info", {"bk_host_id": host.id})
    return {str(row.get("bk_property_id")): row.get("bk_property_value") for row in rows}


_CODES: Final = {"set": "2", "module": "3"}


async def _by_id(
    bk: BlueKing, scope: Scope, kind: str, ids: Sequence[int], rules: Sequence[Fields]
) -> dict[int, Json]:
    """Return sets or modules by their id, with the attributes that the rules read."""
    fields = _read(rules, _CODES[kind])
    if not fields or not ids:
        return {}
    key = f"bk_{kind}_id"
    params: Json = {
        "bk_biz_id": scope.business,
        "bk_ids": [*dict.fromkeys(ids)],
        "fields": [*dict.fromkeys([*fields, key])],
    }
    rows = await bk.rows(f"cc.find_{kind}_batch", params)
    return {number: row for row in rows if isinstance(number := row.get(key), int)}


def _leaves_itself(form: Form) -> bool:
    """Return whether no rule reads the attribute that it changes: else a repeat adds once more."""
    fields = form.fields
    return fields.line("cc_custom_property") not in _read(_rules(fields), "1")


# --- machines replaced ------------------------------------------------------------------------

_BY_HAND: Final = (
    "the broken machines stand in the fault module already: move the new ones by hand, then skip; "
    "a retry would take the fault module for the former one"
)


class _Pair(NamedTuple):
    """A broken machine and the new one, each as CMDB's `{host, topo}`."""

    broken: Json
    new: Json


async def _replace(call: Call[Form]) -> Written | None:
    """Put new machines in the place of broken ones."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    rows = [Fields(row) for row in form.rows("cc_host_replace_detail")]
    if not rows:
        raise PluginError("cc_host_replace_detail is empty: name the machines")
    known = await attributes(bk, scope, "host")
    editable = [str(row["bk_property_id"]) for row in known if row.get("editable")]
    pairs = [await _pair(bk, scope, row, editable) for row in rows]
    if form.flag("copy_attributes", default=True):
        update: list[JsonValue] = [_copied(pair, editable) for pair in pairs]
        about: Json = {"bk_obj_id": "host", "bk_supplier_account": scope.supplier}
        await bk.call("cc.batch_update_host", {**about, "update": update})
    broken: list[JsonValue] = [host_info(pair.broken).id for pair in pairs]
    await bk.call("cc.transfer_host_to_faultmodule", {**scope.where, "bk_host_id": broken})
    moves = [_move(scope, pair) for pair in pairs]
    await in_turn(bk, "cc.transfer_host_module", moves, "成功替换的机器", _BY_HAND)
    return None


async def _pair(bk: BlueKing, scope: Scope, row: Fields, fields: Sequence[str]) -> _Pair:
    """Return the machines of a row.

    Raises:
        PluginError: an address has no host, or several.
    """
    found = [
        await _with_address(bk, scope, row.line(key), fields)
        for key in ("cc_fault_ip", "cc_new_ip")
    ]
    if any(len(hosts) != 1 for hosts in found):
        shown = row.line("cc_fault_ip")
        raise PluginError(f"无法查询到 {shown} 机器信息，请确认该机器是否在当前业务下")
    return _Pair(found[0][0], found[1][0])


async def _with_address(bk: BlueKing, scope: Scope, text: str, fields: Sequence[str]) -> list[Json]:
    v6, v4 = read_hosts(text).v6, read_addresses(text)
    field, values = ("bk_host_innerip_v6", v6) if v6 else (_IP, v4)
    return await topo_rows(bk, scope, field, values, [*HOST_FIELDS, *fields]) if values else []


def _copied(pair: _Pair, editable: Sequence[str]) -> Json:
    host = as_object(pair.broken.get("host"))
    data: Json = {key: host[key] for key in editable if key in host}
    return _updated(host_info(pair.new).id, data)


def _move(scope: Scope, pair: _Pair) -> Change:
    new = host_info(pair.new).id
    modules = [number for number, _ in host_info(pair.broken).modules]
    request: Json = {
        **scope.where,
        "bk_host_id": [new],
        "bk_module_id": [*modules],
        "is_increment": True,
    }
    return Change(f"{new} (modules {', '.join(map(str, modules))})", request)


_BY_RULES: Final = served("cc_host_custom_property_change", "v1.0", _change_by_rules)
_BY_RULES.repeatable(_leaves_itself)

CHANGES: Final = (
    served("cc_update_host", "legacy", _update, idempotent=True),
    served("cc_batch_update_host", "1.0", _batch_update, idempotent=True),
    _BY_RULES,
    served("cc_replace_fault_machine", "legacy", _replace),
)
