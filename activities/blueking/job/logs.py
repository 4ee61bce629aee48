"""What a job's log and its hosts tell: variables in the log, hosts by tag. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from activities.blueking.client import Json
from activities.blueking.config import LogPattern

_VARIABLE: Final = "<SOPS_VAR>(.+?)</SOPS_VAR>"

HOST_SUCCEEDED: Final = 9
HOST_EXIT_CODE: Final = 104
HOST_STATUSES: Final[Mapping[int, str]] = {
    0: "UNKNOWN_ERROR",
    1: "AGENT_ERROR",
    2: "HOST_NOT_EXIST",
    3: "LAST_SUCCESS",
    9: "SUCCESS",
    11: "FAILED",
    12: "SUBMIT_FAILED",
    13: "TASK_TIMEOUT",
    15: "LOG_ERROR",
    16: "GSE_SCRIPT_TIMEOUT",
    17: "GSE_FILE_TIMEOUT",
    101: "SCRIPT_FAILED",
    102: "SCRIPT_TIMEOUT",
    103: "SCRIPT_TERMINATE",
    104: "SCRIPT_NOT_ZERO_EXIT_CODE",
    202: "COPYFILE_FAILED",
    203: "COPYFILE_SOURCE_FILE_NOT_EXIST",
    301: "FILE_ERROR_UNCLASSIFIED",
    303: "GSE_TIMEOUT",
    310: "GSE_AGENT_ERROR",
    311: "GSE_USER_ERROR",
    312: "GSE_USER_PWD_ERROR",
    320: "GSE_FILE_ERROR",
    321: "GSE_FILE_SIZE_EXCEED",
    329: "GSE_FILE_TASK_ERROR",
    399: "GSE_TASK_ERROR",
    403: "GSE_TASK_TERMINATE_SUCCESS",
    404: "GSE_TASK_TERMINATE_FAILED",
    500: "UNKNOWN",
}
"""States of a host in a step of a job. Source: plugins' reference, section 4.4."""


def log_variables(log: str, further: Iterable[LogPattern] = ()) -> Json:
    """Return the variables that a log tells, `<SOPS_VAR>key:value</SOPS_VAR>`; the last wins.

    The marks may be escaped as in HTML; values stay as they are. Source: bk-sops's log reader.
    """
    found: Json = {}
    for pattern, separator in ((_VARIABLE, ":"), *((p.pattern, p.separator) for p in further)):
        for form in (pattern, pattern.replace("<", "&lt;").replace(">", "&gt;")):
            for each in re.findall(form, log, re.DOTALL):
                key, mark, value = str(each).partition(separator)
                if key and mark:
                    found[key] = value
    return found


def hosts_by_tag(hosts: Iterable[Mapping[str, JsonValue]]) -> Json:
    """Return the addresses of a step's hosts by tag, with commas between; untagged ones are out."""
    grouped: dict[str, list[str]] = {}
    for host in hosts:
        if tag := host.get("tag"):
            grouped.setdefault(str(tag), []).append(_address(host))
    return {tag: ",".join(addresses) for tag, addresses in grouped.items()}


def hosts_by_end(hosts: Sequence[Mapping[str, JsonValue]]) -> Json:
    """Return the addresses of a step's hosts by how they ended, and then by tag.

    Source: bk-sops's grouping of a job's hosts, keys and spelling included: templates read them.
    """
    good = [host for host in hosts if host.get("status") == HOST_SUCCEEDED]
    exited = [host for host in hosts if host.get("status") == HOST_EXIT_CODE]
    other = [h for h in hosts if h.get("status") not in (HOST_SUCCEEDED, HOST_EXIT_CODE)]
    by_state: dict[str, list[str]] = {}
    for host in other:
        by_state.setdefault(_state_name(host.get("status")), []).append(_address(host))
    others: Json = {name: ",".join(addresses) for name, addresses in by_state.items()}
    return {
        "name": "JOB执行IP分组",
        "key": "job_tagged_ip_dict",
        "value": {
            "SUCCESS": {"DESC": "执行成功", "TAGS": {**hosts_by_tag(good), **_all(good)}},
            "SCRIPT_NOT_ZERO_EXIT_CODE": {
                "DESC": "脚本返回值非零",
                "TAGS": {**hosts_by_tag(exited), **_all(exited)},
            },
            "OTHER_FAILED": {"desc": "其他异常", "TAGS": {**others, **_all(other)}},
        },
    }


def _all(hosts: Iterable[Mapping[str, JsonValue]]) -> Json:
    return {"ALL": ",".join(_address(host) for host in hosts)}


def _address(host: Mapping[str, JsonValue]) -> str:
    return str(host.get("ip") or host.get("ipv6") or "")


def _state_name(status: JsonValue) -> str:
    return HOST_STATUSES.get(status, str(status)) if isinstance(status, int) else str(status)
