"""What the variables share: their form, and how they ask CMDB for hosts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from pydantic import JsonValue

from activities.blueking.client import BlueKing, Json
from activities.blueking.form import Fields
from activities.blueking.hosts import Scope
from activities.calls import Lookup, PluginError
from translator.values import OBJECT_TEXT

T = TypeVar("T")

SEPARATOR: Final = ","


def form_of(lookup: Lookup) -> Fields:
    """Return the fields of a variable's form.

    Raises:
        PluginError: the variable holds something else.
    """
    if isinstance(lookup.value, dict):
        return Fields(lookup.value)
    raise PluginError(f"the value is {lookup.value!r}; the fields of its form are wanted")


def rule(field: str, values: Sequence[JsonValue], operator: str = "in") -> Json:
    """Return a rule of CMDB's filters."""
    return {"field": field, "operator": operator, "value": list(values)}


def all_of(rules: Iterable[Json]) -> Json:
    """Return the filter that wants all of these rules to hold."""
    return {"condition": "AND", "rules": list(rules)}


def asked(scope: Scope, fields: Sequence[str], **more: JsonValue) -> Json:
    """Return the parameters of a query for hosts or modules of the business."""
    return {**scope.where, "fields": list(fields), **more}


async def hosts_of_modules(
    bk: BlueKing, scope: Scope, modules: Sequence[int], fields: Sequence[str]
) -> list[Json]:
    """Return the hosts in any of these modules; none for no modules."""
    found: list[Json] = []
    for part in portions(modules, 500):
        params = asked(scope, fields, bk_module_ids=[*part])
        found += await bk.pages("cc.list_biz_hosts", params)
    return found


def address_of(host: Mapping[str, JsonValue]) -> str:
    """Return the first address of a host, IPv6 where it has no other."""
    both = (host.get("bk_host_innerip"), host.get("bk_host_innerip_v6"))
    return next((str(ip).split(SEPARATOR)[0] for ip in both if ip), "")


def with_area(cloud: JsonValue, ip: str) -> str:
    """Return an address with its cloud area in front."""
    return f"{cloud}:[{ip}]" if ":" in ip else f"{cloud}:{ip}"


def portions(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Return the items in portions of at most `size`."""
    return [items[at : at + size] for at in range(0, len(items), size)]


def columns(rows: Sequence[Json], names: Iterable[str]) -> dict[str, list[JsonValue]]:
    """Return the cells of a table by column; a missing cell is empty text."""
    return {name: [row.get(name, "") for row in rows] for name in names}


def as_object_text(found: Mapping[str, JsonValue], text: str) -> Json:
    """Return an object with attributes that is `text` where a text is needed."""
    return {**found, OBJECT_TEXT: text}


def with_flat(found: Mapping[str, Sequence[JsonValue]]) -> Json:
    """Return each list, and as `flat__<name>` its items joined by commas."""
    flat = {f"flat__{name}": SEPARATOR.join(map(str, cells)) for name, cells in found.items()}
    return {**{name: [*cells] for name, cells in found.items()}, **flat}
