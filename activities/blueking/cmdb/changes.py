"""Attributes of hosts changed, and broken machines replaced.

Source: plugins' reference, section 3.3; differs: `cc_batch_update_host` sends the id of a choice,
where the real one checks it and sends its name.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from activities.blueking.addresses import read_addresses
from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.cmdb.attributes import attributes, cast_row, cast_to, chosen
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import (
    HOST_FIELDS,
    HostInfo,
    Scope,
    exact_hosts,
    host_ids,
    host_infos,
    hosts_by_text,
    hosts_of,
)
from activities.blueking.rows import Row, expanded, without_empty
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
    attribute, value = form.line("cc_host_property"), form.raw("cc_host_prop_value")
    known = await attributes(bk, scope, "host")
    if attribute in CHOICES:
        value = chosen(known, attribute, value, CHOICES[attribute])
    data: Json = {attribute: cast_to(known, attribute, value)}
    await bk.call(
        "cc.update_host",
        {
            "bk_host_id": ",".join(map(str, ids)),
            "bk_supplier_account": scope.supplier,
            "data": data,
        },
    )
    return None


async def _batch_update(call: Call[Form]) -> Written | None:
    """Change the attributes of the host that each row names, all by one call."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context)
    rows = form.rows("cc_host_property_custom")
    if form.line("cc_host_update_method") == "auto":
        rows = expanded(rows, form.text("cc_auto_separator") or ",")
    known = await attributes(bk, scope, "host")
    update: list[JsonValue] = []
    for row in rows:
        host = (await exact_hosts(bk, scope, str(row.get(_IP, "")), with_cloud=True))[:1]
        properties = _properties(known, row)
        for each in host:
            row_update: Json = {"bk_host_id": each["bk_host_id"], "properties": properties}
            update.append(row_update)
    await _update_all(bk, scope, update)
    return None


def _properties(known: list[Json], row: Row) -> Json:
    """Return a row's attributes, choices by their ids.

    Raises:
        PluginError: a choice is none, or a value is of another type.
    """
    data = without_empty({key: cell for key, cell in row.items() if key != _IP})
    picked: Json = {
        key: chosen(known, key, cell, CHOICES[key]) if key in CHOICES else cell
        for key, cell in data.items()
    }
    return cast_row(known, picked)


async def _update_all(bk: BlueKing, scope: Scope, update: list[JsonValue]) -> None:
    if update:
        params: Json = {"bk_supplier_account": scope.supplier, "update": update}
        await bk.call("cc.batch_update_host", params)


# --- values made by rules ---------------------------------------------------------------------


async def _change_by_rules(call: Call[Form]) -> Written | None:
    """Give each host a value that is put together from its own, its set's and its module's."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context)
    text = form.text("cc_ip_list")
    hosts = await hosts_by_text(bk, scope, text)
    known = {host.ip for host in hosts}
    if missing := [ip for ip in read_addresses(text) if ip not in known]:
        shown = ",".join(missing)
        outputs: Json = {"invalid_ip": shown}
        raise PluginError(f"以下 IP 在本业务下不存在: {shown}", outputs=outputs)
    rows = [*form.rows("cc_hostname_rule"), *form.rows("cc_custom_rule")]
    rules = sorted(rows, key=lambda row: str(row.get("field_order", "")))
    facts = await _facts(bk, scope, hosts, rules)
    attribute = form.line("cc_custom_property")
    update: list[JsonValue] = [
        {"bk_host_id": host.id, "properties": {attribute: _value(rules, facts[at], host.ip, at)}}
        for at, host in enumerate(hosts)
    ]
    await _update_all(bk, scope, update)
    return None


HOST_ATTRIBUTE: Final = "1"
SET_ATTRIBUTE: Final = "2"
MODULE_ATTRIBUTE: Final = "3"
ADDRESS: Final = "4"
COUNTER: Final = "5"
LITERAL: Final = "6"


def _value(rules: Sequence[Row], facts: Mapping[str, Json], ip: str, at: int) -> str:
    """Return a host's value; `at` is its place among the hosts, from 0."""
    parts: list[str] = []
    for row in rules:
        fields = Fields(row)
        content = fields.text("field_content")
        match code := fields.line("field_rule_code"):
            case "1" | "2" | "3":
                parts.append(str(facts[code].get(content, "")))
            case "4":
                parts.append(ip.replace(".", content))
            case "5":
                parts.append(str(fields.integer("field_content") + at))
            case "6":
                parts.append(content)
            case _:
                raise PluginError(f"field_rule_code {code!r} is none of 1 to 6")
    return "".join(parts)


async def _facts(
    bk: BlueKing, scope: Scope, hosts: Sequence[HostInfo], rules: Sequence[Row]
) -> list[dict[str, Json]]:
    """Return the attributes that the rules read, for each host by the kind of object."""
    wanted = {code: _contents(rules, code) for code in ("1", "2", "3")}
    own = [await _host_facts(bk, scope, host) if wanted["1"] else {} for host in hosts]
    sets = await _by_id(bk, scope, "set", {s for h in hosts for s, _ in h.sets}, wanted["2"])
    modules = await _by_id(
        bk, scope, "module", {m for h in hosts for m, _ in h.modules}, wanted["3"]
    )
    return [
        {
            HOST_ATTRIBUTE: own[at],
            SET_ATTRIBUTE: sets.get(host.sets[0][0], {}) if host.sets else {},
            MODULE_ATTRIBUTE: modules.get(host.modules[0][0], {}) if host.modules else {},
        }
        for at, host in enumerate(hosts)
    ]


def _contents(rules: Sequence[Row], code: str) -> list[str]:
    fields = [Fields(row) for row in rules]
    return [each.text("field_content") for each in fields if each.line("field_rule_code") == code]


async def _host_facts(bk: BlueKing, scope: Scope, host: HostInfo) -> Json:
    params: Json = {"bk_supplier_account": scope.supplier, "bk_host_id": host.id}
    rows = await bk.rows("cc.get_host_base_info", params)
    return {str(row.get("bk_property_id")): row.get("bk_property_value") for row in rows}


async def _by_id(
    bk: BlueKing, scope: Scope, kind: str, ids: set[int], fields: list[str]
) -> dict[int, Json]:
    """Return sets or modules by their id, with the attributes that are read."""
    if not fields or not ids:
        return {}
    key = f"bk_{kind}_id"
    params: Json = {
        "bk_biz_id": scope.business,
        "bk_ids": [*sorted(ids)],
        "fields": [key, *fields],
    }
    rows = await bk.rows(f"cc.find_{kind}_batch", params)
    return {number: row for row in rows if isinstance(number := row.get(key), int)}


# --- machines replaced ------------------------------------------------------------------------


async def _replace(call: Call[Form]) -> Written | None:
    """Put new machines in the place of broken ones."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    pairs = [
        (Fields(row).line("cc_fault_ip"), Fields(row).line("cc_new_ip"))
        for row in form.rows("cc_host_replace_detail")
    ]
    editable = [
        str(row["bk_property_id"])
        for row in await attributes(bk, scope, "host")
        if row.get("editable")
    ]
    found = [
        (await _only(bk, scope, old, old, editable), await _only(bk, scope, new, old, editable))
        for old, new in pairs
    ]
    if form.flag("copy_attributes", default=True):
        await _update_all(bk, scope, [_copied(old, new, editable) for old, new in found])
    places = {host.ip: host for host in await host_infos(bk, scope, [old for old, _ in pairs])}
    where: Json = {"bk_biz_id": scope.business, "bk_supplier_account": scope.supplier}
    broken: list[JsonValue] = [old["bk_host_id"] for old, _ in found]
    await bk.call("cc.transfer_host_to_faultmodule", {**where, "bk_host_id": broken})
    done: list[JsonValue] = []
    for (old_ip, _), (_, new) in zip(pairs, found, strict=True):
        modules: list[JsonValue] = [number for number, _ in places[old_ip].modules]
        moved: Json = {
            **where,
            "bk_host_id": [new["bk_host_id"]],
            "bk_module_id": modules,
            "is_increment": True,
        }
        try:
            await bk.call("cc.transfer_host_module", moved)
        except PluginError as error:
            shown = ",".join(map(str, done))
            raise PluginError(f"{error.what}\n成功替换的机器: {shown}") from error
        done.append(new["bk_host_id"])
    return None


async def _only(bk: BlueKing, scope: Scope, ip: str, shown: str, fields: Sequence[str]) -> Json:
    """Return the one host with an address.

    Raises:
        PluginError: there is none, or several.
    """
    found = await hosts_of(bk, scope, [ip], [*HOST_FIELDS, *fields])
    if len(found) != 1:
        raise PluginError(f"无法查询到 {shown} 机器信息，请确认该机器是否在当前业务下")
    return found[0]


def _copied(old: Json, new: Json, editable: Sequence[str]) -> Json:
    data: Json = {key: old[key] for key in editable if key in old}
    return {"bk_host_id": new["bk_host_id"], "properties": data}


CHANGES: Final = (
    served("cc_update_host", "legacy", _update, idempotent=True),
    served("cc_batch_update_host", "1.0", _batch_update, idempotent=True),
    served("cc_host_custom_property_change", "v1.0", _change_by_rules, idempotent=True),
    served("cc_replace_fault_machine", "legacy", _replace),
)
