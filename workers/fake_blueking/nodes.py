"""NodeMan, its old API too: agents and plugins on hosts.

Source: the platform's API documents of the node manager, whose examples say which keys there are.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Handler, Json
from workers.fake_blueking.services import status_of, work_of
from workers.fake_blueking.world import Host, Work, World

_KEY_BITS: Final = 2048
_INSTALLS: Final = tuple(
    f"{action}_{kind}"
    for action in ("INSTALL", "REINSTALL", "UNINSTALL", "RELOAD")
    for kind in ("AGENT", "PROXY")
)
_OPERATIONS: Final = tuple(
    f"{action}_{kind}"
    for action in ("UPGRADE", "UNINSTALL", "RESTART")
    for kind in ("AGENT", "PROXY")
)
_PLUGIN_JOBS: Final = tuple(
    f"MAIN_{action}_PLUGIN"
    for action in ("INSTALL", "START", "STOP", "RESTART", "RELOAD", "DELEGATE", "UNDELEGATE")
)
_STATES: Final = {
    "pending": "PENDING",
    "running": "RUNNING",
    "succeeded": "SUCCESS",
    "failed": "FAILED",
}


# --- NodeMan ----------------------------------------------------------------------------------


def job_install(world: World, asked: Asked) -> JsonValue:
    """Install agents or proxies on hosts."""
    asked.one_of("job_type", _INSTALLS)
    rows = asked.rows("hosts")
    if not rows:
        asked.refuse("hosts", "is empty")
    for row in rows:
        for key in ("bk_biz_id", "bk_cloud_id", "ap_id"):
            row.integer(key)
        row.text("os_type")
    ips = [row.text("inner_ip" if row.has("inner_ip") else "inner_ipv6") for row in rows]
    return {"job_id": started(world, ips).id, "ip_filter": []}


def job_operate(world: World, asked: Asked) -> JsonValue:
    """Upgrade, restart or remove agents or proxies."""
    asked.one_of("job_type", _OPERATIONS)
    asked.integers("bk_biz_id")
    return {"job_id": started(world, _ips(world, asked)).id, "ip_filter": []}


def plugin_operate(world: World, asked: Asked) -> JsonValue:
    """Install or operate a plugin on hosts."""
    asked.one_of("job_type", _PLUGIN_JOBS)
    asked.integers("bk_biz_id")
    name = asked.part("plugin_params").text("name")
    return {name: started(world, _ips(world, asked)).id}


def remove_host(_world: World, asked: Asked) -> JsonValue:
    """Forget hosts."""
    asked.integers("bk_biz_id")
    asked.flag("is_proxy")
    return {"success": [*asked.integers("bk_host_id")], "fail": []}


def job_details(world: World, asked: Asked) -> JsonValue:
    """Return how a job stands, with its hosts."""
    work = work_of(world, asked.integer("job_id"), "nodeman")
    state = status_of(world, work)
    hosts = [_told(world, host) for host in hosts_of(work, state)]
    counts = [str(host["status"]) for host in hosts]
    failed, good = counts.count("FAILED"), counts.count("SUCCESS")
    status = "PART_FAILED" if failed and good else _STATES[state]
    return {
        "job_id": work.id,
        "job_type": "",
        "job_type_display": "",
        "ip_filter_list": [],
        "start_time": _time(work.started_at),
        "status": status,
        "total": len(hosts),
        "statistics": {
            "total_count": len(hosts),
            "success_count": good,
            "failed_count": failed,
            "running_count": counts.count("RUNNING"),
            "pending_count": counts.count("PENDING"),
        },
        "list": [*hosts],
    }


def job_log(world: World, asked: Asked) -> JsonValue:
    """Return a host's log, step by step."""
    work = work_of(world, asked.integer("job_id"), "nodeman")
    name = asked.text("instance_id")
    state = next(
        (
            host["status"]
            for host in hosts_of(work, status_of(world, work))
            if _told(world, host)["instance_id"] == name
        ),
        None,
    )
    if state is None:
        asked.refuse("instance_id", "is none of the job's")
    log = "agent does not answer" if state == "FAILED" else "done"
    at = _time(work.started_at)
    return [
        {"step": "选择接入点", "status": "SUCCESS", "log": "", "start_time": at, "finish_time": at},
        {"step": "install", "status": state, "log": log, "start_time": at, "finish_time": at},
    ]


def search_host_plugin(world: World, asked: Asked) -> JsonValue:
    """Return hosts with their ids, by conditions."""
    asked.integers("bk_biz_id")
    wanted = {row.text("key"): row.items("value") for row in asked.rows("conditions", [])}
    addresses = [*wanted.get("inner_ip", []), *wanted.get("ip", [])]
    clouds = [str(each) for each in wanted.get("bk_cloud_id", [])]
    found: list[JsonValue] = [
        {
            **_place(world, h),
            "inner_ipv6": "",
            "status": "TERMINATED" if h.fault == "agent" else "RUNNING",
            "status_display": "异常" if h.fault == "agent" else "正常",
            "node_from": "NODE_MAN",
            "node_type": "AGENT",
            "os_type": "LINUX",
            "version": "2.0.0",
            "operate_permission": True,
            "plugin_status": [],
            "job_result": {},
        }
        for h in world.hosts.values()
        if (not addresses or h.ip in addresses) and (not clouds or str(h.cloud) in clouds)
    ]
    return {"total": len(found), "list": found}


def fetch_public_keys(_world: World, asked: Asked) -> JsonValue:
    """Return the public keys of some names."""
    key = public_key()
    return [
        {"name": name, "content": key, "cipher_type": "RSA", "description": ""}
        for name in asked.items("names")
    ]


def host_details(world: World, asked: Asked) -> JsonValue:
    """Return hosts with the state of their agents: 1 for alive."""
    ids = [row.integer("host_id") for row in asked.rows("host_list")]
    hosts = [world.hosts[number] for number in ids if number in world.hosts]
    return [
        {"host_id": h.id, "ip": h.ip, "cloud_id": h.cloud, "alive": int(h.fault != "agent")}
        for h in hosts
    ]


def list_agent_state(world: World, asked: Asked) -> JsonValue:
    """Return the states of agents, which go by `area:address` here: 2 runs, 4 does not answer."""
    states = {f"{h.cloud}:{h.ip}": 4 if h.fault == "agent" else 2 for h in world.hosts.values()}
    return [
        {"bk_agent_id": name, "status_code": states.get(str(name), -1)}
        for name in asked.items("agent_id_list")
    ]


def create_task(world: World, asked: Asked) -> JsonValue:
    """Start a task of the oldest API."""
    asked.integer("bk_biz_id")
    for key in ("node_type", "op_type", "creator"):
        asked.text(key)
    rows = asked.rows("hosts")
    return {"id": started(world, [row.text("conn_ips") for row in rows]).id}


def get_task_info(world: World, asked: Asked) -> JsonValue:
    """Return how a task of the oldest API stands."""
    work = work_of(world, asked.integer("job_id"), "nodeman")
    hosts = hosts_of(work, status_of(world, work))
    states = [host["status"] for host in hosts]
    rows: list[JsonValue] = [
        {"job_id": work.id, "host": {"id": at, "inner_ip": host["inner_ip"]}, **host}
        for at, host in enumerate(hosts)
    ]
    counts: Json = {
        "success_count": states.count("SUCCESS"),
        "failed_count": states.count("FAILED"),
        "running_count": states.count("RUNNING") + states.count("PENDING"),
    }
    return {
        "id": work.id,
        "bk_biz_id": str(asked.integer("bk_biz_id")),
        "start_time": _time(work.started_at),
        "end_time": None,
        "host_count": len(hosts),
        "status_count": counts,
        "os_count": {"LINUX": len(hosts), "WINDOWS": 0, "AIX": 0},
        "hosts": rows,
    }


def get_log(_world: World, asked: Asked) -> JsonValue:
    """Return a host's log of the oldest API."""
    asked.integer("bk_biz_id")
    asked.integer("host_id")
    return {"logs": "agent does not answer"}


@cache
def public_key() -> str:
    """Return the public key of this process's platform, as PEM."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return made.public_bytes(serialization.Encoding.PEM, form).decode()


# --- parts ------------------------------------------------------------------------------------


def started(world: World, ips: Sequence[str], kind: str = "nodeman") -> Work:
    """Start work on hosts; it fails on those whose agent does not answer."""
    broken = [h.ip for h in world.hosts.values() if h.fault == "agent"]
    bad: list[JsonValue] = [ip for ip in ips if ip in broken]
    work = Work(world.new_id(), kind, world.clock(), not bad, {"ips": [*ips], "bad": bad})
    world.works[work.id] = work
    return work


def _ips(world: World, asked: Asked) -> list[str]:
    """Return the addresses of hosts by their ids."""
    ids = asked.integers("bk_host_id")
    if missing := [number for number in ids if number not in world.hosts]:
        asked.refuse("bk_host_id", f"names hosts that do not exist: {missing}")
    found: list[Host] = [world.hosts[number] for number in ids]
    return [host.ip for host in found]


def _told(world: World, host: Json) -> Json:
    """Return a host of a job as NodeMan tells of it; one that CMDB lacks goes by its address."""
    known = next((h for h in world.hosts.values() if h.ip == host["inner_ip"]), None)
    about: Json = _place(world, known) if known is not None else {"bk_cloud_id": 0}
    name = f"host|{known.id}" if known is not None else f"{host['inner_ip']}-0-0"
    return {
        **about,
        **host,
        "instance_id": f"host|instance|{name}",
        "node_id": 1,
        "ap_id": 1,
        "is_manual": False,
        "status_display": str(host["status"]),
    }


def _place(world: World, host: Host) -> Json:
    return {
        "bk_host_id": host.id,
        "inner_ip": host.ip,
        "bk_cloud_id": host.cloud,
        "bk_cloud_name": "default area",
        "bk_biz_id": host.business,
        "bk_biz_name": world.businesses.get(host.business, {}).get("bk_biz_name"),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S+0000")


def hosts_of(work: Work, state: str) -> list[Json]:
    """Return how each host of some work stands."""
    fields = Asked(work.details)
    bad = fields.items("bad")
    ended = state in ("succeeded", "failed")
    return [
        {
            "instance_id": f"host|instance|{ip}",
            "inner_ip": ip,
            "status": ("FAILED" if ip in bad else "SUCCESS") if ended else _STATES[state],
        }
        for ip in fields.items("ips")
    ]


APIS: Final[Mapping[str, Handler]] = {
    "POST /gse/api/v2/cluster/list_agent_state": list_agent_state,
    "POST /nodeman/api/job/install/": job_install,
    "POST /nodeman/api/job/operate/": job_operate,
    "POST /nodeman/api/job/details/": job_details,
    "POST /nodeman/api/job/log/": job_log,
    "POST /nodeman/api/plugin/operate/": plugin_operate,
    "POST /nodeman/api/plugin/search/": search_host_plugin,
    "POST /nodeman/api/remove_host/": remove_host,
    "POST /nodeman/core/api/encrypt_rsa/fetch_public_keys/": fetch_public_keys,
    "POST /nodeman/core/api/ipchooser_host/details/": host_details,
    "POST /nodeman/create_task/": create_task,
    "GET /nodeman/get_task_info/": get_task_info,
    "GET /nodeman/get_log/": get_log,
}
