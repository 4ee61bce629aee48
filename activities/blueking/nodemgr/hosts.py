"""Hosts of a form as the newer node manager knows them.

Source: plugins' reference, section 3.8. As there, hosts that it does not know are left out; here
the node's note names them.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from pydantic import JsonValue

from activities.blueking.client import BlueKing, Json, as_object
from activities.blueking.form import Fields
from activities.blueking.nodemgr.answers import pages
from activities.calls import PluginError

HOSTS_PAGE: Final = 1000
AREA: Final = "bk_networkarea_id"

_SEPARATORS: Final = re.compile(r"[,;\n]")


class Found(NamedTuple):
    """A host that a form names, and what the node manager has on it."""

    row: Fields
    known: Json


def parts(text: str) -> list[str]:
    """Return the addresses in a field; they stand between commas, semicolons or lines."""
    return [part.strip() for part in _SEPARATORS.split(text) if part.strip()]


def kind_of(address: str) -> Literal[4, 6]:
    """Return the version of an address.

    Raises:
        PluginError: it is none.
    """
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        raise PluginError(f"[节点管理器]操作异常: IP地址格式错误: {address}") from None


def rows_of(batch: Fields, *keys: str) -> list[Fields]:
    """Return one row an address of a form for many, with its area and what else `keys` name."""
    common: Json = {key: batch.raw(key) for key in (AREA, *keys)}
    addresses = parts(batch.text("inner_ip"))
    for address in addresses:
        kind_of(address)
    return [Fields({**common, "inner_ip": address}) for address in addresses]


async def look_up(
    bk: BlueKing, business: int, rows: Sequence[Fields]
) -> tuple[list[Found], list[str]]:
    """Return the hosts of the rows that the node manager knows, and the addresses of the others."""
    by_area: dict[int, list[str]] = {}
    for row in rows:
        by_area.setdefault(_area(row), []).append(row.line("inner_ip"))
    known = {area: await _in_area(bk, business, area, ips) for area, ips in by_area.items()}
    found = [(row, known[_area(row)].get(row.line("inner_ip"))) for row in rows]
    return (
        [Found(row, host) for row, host in found if host is not None],
        [row.line("inner_ip") for row, host in found if host is None],
    )


def _area(row: Fields) -> int:
    area = row.number(AREA)
    return -1 if area is None else area


async def _in_area(
    bk: BlueKing, business: int, area: int, addresses: Sequence[str]
) -> dict[str, Json]:
    """Return the hosts of an area by each of their addresses."""
    by_kind: dict[int, list[JsonValue]] = {4: [], 6: []}
    for address in addresses:
        by_kind[kind_of(address)].append(address)
    asked: Json = {
        "exact_include_conditions": {"bk_biz_id": [business], AREA: [area]},
        "fuzzy_include_conditions": {
            "bk_host_innerip": by_kind[4],
            "bk_host_innerip_v6": by_kind[6],
        },
    }
    return {
        str(address): host
        for host in await pages(bk, "nodemgr.host_list", asked, "items", HOSTS_PAGE)
        for key in ("bk_host_innerip_list", "bk_host_innerip_v6_list")
        for address in Fields(as_object(host.get("info"))).items(key)
    }
