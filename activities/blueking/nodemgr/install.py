"""Nodes installed by the newer node manager: placed in a unit, checked, then installed.

Source: plugins' reference, section 3.8. As there, hosts that fail the check are left out; here the
node's note names them. Differs: the public key is fetched once a node.
"""

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from activities.blueking.ciphers import Cipher, with_label
from activities.blueking.client import BlueKing, Json, as_object, as_rows
from activities.blueking.form import Fields
from activities.blueking.nodemgr.answers import ask
from activities.blueking.nodemgr.hosts import AREA, kind_of, parts
from activities.calls import PluginError

UNIT: Final = "bk_networkunit_id"
SSH_PORT: Final = 22
PROXY: Final[Json] = {
    "relay_callback_port": 28302,
    "relay_download_port": 28303,
    "proxy_tags": ["dedicated_installer", "cluster_tunnel", "file_tunnel", "data_tunnel"],
}
"""What a proxy gets where the workers' settings say nothing else."""

_V4: Final = "bk_host_innerip"
_V6: Final = "bk_host_innerip_v6"
_SAME_FOR_ALL: Final = (
    AREA,
    UNIT,
    "bk_addressing",
    "os_type",
    "login_port",
    "login_user",
    "login_mode",
    "login_password",
    "re_register",
)
_SECRETS: Final = {"password": "login_password", "keyfile": "login_key_file"}
"""The field that holds the secret, by the way to log in."""


async def install(bk: BlueKing, business: int, role: str, info: Fields) -> tuple[Json, list[str]]:
    """Start an installation; return its answer, and the hosts that were left out.

    Raises:
        PluginError: a host is given wrongly or has no unit, none may be installed, or a refusal.
    """
    rows = await _placed(bk, _rows(info))
    matched, unfit = await _checked(bk, business, role, rows)
    if not matched:
        raise PluginError(f"没有可安装的有效节点: {', '.join(unfit)}")
    needs_key = any(_mode(row) in _SECRETS for row, _ in matched)
    cipher = await _cipher(bk) if needs_key else str
    proxy: Json = {**PROXY, **bk.settings.nodemgr_proxy} if role == "proxy" else {}
    hosts: list[JsonValue] = [
        {
            **_host(business, row, host_id),
            "install_pre_ordered_plugins": info.flag("nodemgr_install_plugin"),
            **_login(row, cipher),
            **({"proxy_install_origin_unit_id": row.raw(UNIT)} if proxy else {}),
            **proxy,
        }
        for row, host_id in matched
    ]
    request: Json = {"host": hosts, "target_version": [], "is_manual": False}
    return await ask(bk, "nodemgr.node_install", request, role=role), unfit


def _rows(info: Fields) -> list[Fields]:
    """Return the hosts of a form, which lists them one by one or names many at once."""
    match info.line("nodemgr_hosts_param_mode"):
        case "batch":
            return _batch(info.part("nodemgr_batch_install"))
        case "list":
            return [Fields(row) for row in info.rows("nodemgr_hosts")]
        case _:
            raise PluginError("[节点管理器]操作异常: Invalid nodemgr_hosts_param_mode")


def _batch(batch: Fields) -> list[Fields]:
    """Return one row an address; those to log in by stand in the same order.

    Raises:
        PluginError: their numbers differ, or one is no address.
    """
    inner, login = parts(batch.text("inner_ip")), parts(batch.text("login_ip"))
    if login and len(login) != len(inner):
        raise PluginError("[节点管理器]操作异常: login_ip数量不匹配")
    common: Json = {key: batch.raw(key) for key in _SAME_FOR_ALL}
    return [
        Fields({**common, _V6 if kind_of(ip) == 6 else _V4: ip, "login_ip": by})  # noqa: PLR2004  the version of an address
        for ip, by in zip(inner, login or inner, strict=True)
    ]


async def _placed(bk: BlueKing, rows: Sequence[Fields]) -> list[Fields]:
    """Return the rows with a unit each; where a form leaves it open, the node manager chooses.

    Raises:
        PluginError: it chooses none for some host.
    """
    asked: list[JsonValue] = [
        {AREA: row.raw(AREA), "ip": _first(row)} for row in rows if _open(row)
    ]
    if not asked:
        return list(rows)
    data = await ask(bk, "nodemgr.networkunit_recommand", {"items": asked}, "获取推荐管控单元失败")
    units = {(str(u.get(AREA)), str(u.get("ip"))): u.get(UNIT) for u in as_rows(data.get("items"))}
    return [_in_unit(row, units) if _open(row) else row for row in rows]


def _in_unit(row: Fields, units: dict[tuple[str, str], JsonValue]) -> Fields:
    area = row.line(AREA)
    found = next((units[area, ip] for ip in _all(row) if (area, ip) in units), None)
    placed = row.replaced(UNIT, found)
    if found is None or _open(placed):
        raise PluginError(f"节点安装失败: 获取推荐管控单元失败{area}:{_first(row)}")
    return placed


async def _checked(
    bk: BlueKing, business: int, role: str, rows: Sequence[Fields]
) -> tuple[list[tuple[Fields, JsonValue]], list[str]]:
    """Return the rows that may be installed, with the id of those known, and the hosts left out."""
    asked: list[JsonValue] = [
        {
            "bk_biz_id": business,
            UNIT: row.raw(UNIT),
            "bk_host_innerip_list": [*parts(row.text(_V4))],
            "bk_host_innerip_v6_list": [*parts(row.text(_V6))],
        }
        for row in rows
    ]
    api = "nodemgr.node_install_check"
    results = as_rows(
        (await ask(bk, api, {"host": asked}, "安装检查失败", role=role)).get("results")
    )
    if len(results) != len(rows):
        raise PluginError("节点检查失败: 节点数量不匹配")
    both = list(zip(rows, results, strict=True))
    fit = [
        (row, as_object(result.get("matched")).get("bk_host_id"))
        for row, result in both
        if result.get("status") != "error"
    ]
    return fit, [_first(row) for row, result in both if result.get("status") == "error"]


async def _cipher(bk: BlueKing) -> Cipher:
    found = Fields(await ask(bk, "nodemgr.public_key_get", {}, "获取公钥失败"))
    if "public_key" not in found:
        raise PluginError("[节点管理器]操作异常: 获取公钥失败")
    return with_label(found.text("public_key"))


def _host(business: int, row: Fields, host_id: JsonValue) -> Json:
    login, port = parts(row.text("login_ip")), row.number("login_port")
    return {
        "bk_addressing": row.line("bk_addressing", "static"),
        "bk_biz_id": business,
        _V4: [*parts(row.text(_V4))],
        _V6: [*parts(row.text(_V6))],
        "login_ip": login[0] if login else _first(row),
        "login_port": SSH_PORT if port is None else port,
        "login_user": row.text("login_user"),
        "login_mode": _mode(row),
        UNIT: row.raw(UNIT),
        "os_type": row.line("os_type", "linux"),
        "bk_host_id": host_id,
        "re_register": row.flag("re_register"),
    }


def _login(row: Fields, cipher: Cipher) -> Json:
    """Return the secret to log in with; one from a vault stays there."""
    mode = _mode(row)
    if mode in _SECRETS:
        return {_SECRETS[mode]: cipher(row.secret("login_password"))}
    return dict.fromkeys(_SECRETS.values(), "") if mode == "password_vault" else {}


def _mode(row: Fields) -> str:
    return row.line("login_mode", "password")


def _open(row: Fields) -> bool:
    """Return whether the unit of a host is left open."""
    unit = row.number(UNIT)
    return unit is not None and unit < 0


def _all(row: Fields) -> list[str]:
    return [*parts(row.text(_V4)), *parts(row.text(_V6))]


def _first(row: Fields) -> str:
    return next(iter(_all(row)), "")
