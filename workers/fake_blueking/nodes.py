"""NodeMan, its old API too: agents and plugins on hosts.

The answers are those that the components read; what else the real systems say is not documented.
"""

from collections.abc import Mapping, Sequence
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
    return {"job_id": started(world, ips).id}


def job_operate(world: World, asked: Asked) -> JsonValue:
    """Upgrade, restart or remove agents or proxies."""
    asked.one_of("job_type", _OPERATIONS)
    asked.integers("bk_biz_id")
    return {"job_id": started(world, _ips(world, asked)).id}


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
    hosts = hosts_of(work, state)
    counts = [str(host["status"]) for host in hosts]
    failed, good = counts.count("FAILED"), counts.count("SUCCESS")
    status = "PART_FAILED" if failed and good else _STATES[state]
    return {
        "job_id": work.id,
        "status": status,
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
        (h["status"] for h in hosts_of(work, status_of(world, work)) if h["instance_id"] == name),
        None,
    )
    if state is None:
        asked.refuse("instance_id", "is none of the job's")
    log = "agent does not answer" if state == "FAILED" else "done"
    return [{"step": "install", "status": state, "log": log}]


def search_host_plugin(world: World, asked: Asked) -> JsonValue:
    """Return hosts with their ids, by conditions."""
    asked.integers("bk_biz_id")
    wanted = {row.text("key"): row.items("value") for row in asked.rows("conditions", [])}
    addresses = [*wanted.get("inner_ip", []), *wanted.get("ip", [])]
    clouds = [str(each) for each in wanted.get("bk_cloud_id", [])]
    found: list[JsonValue] = [
        {"bk_host_id": h.id, "inner_ip": h.ip, "inner_ipv6": "", "bk_cloud_id": h.cloud}
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
    }
    return {"id": work.id, "host_count": len(hosts), "status_count": counts, "hosts": rows}


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
