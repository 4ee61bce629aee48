"""A BlueKing platform with a few hosts and a JOB whose jobs end as a test says."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import httpx
from pydantic import JsonValue

from activities.contract import Polling
from activities.sdk import AnyPlugin
from activities.testing import Stage

Json = dict[str, JsonValue]
Reply = Mapping[str, JsonValue] | httpx.Response | Exception

URL: Final = "https://paas.test/api/c/compapi/v2/"
SETTINGS: Final[Json] = {
    "esb_url": "https://paas.test",
    "job_url": "https://job.test",
    "app_code": "stdops",
    "app_secret": "hush",
}
CONTEXT: Final[Json] = {"operator": "ann", "executor": "bob", "biz_cc_id": 2, "bk_biz_id": 2}
SCOPE: Final[Json] = {"bk_scope_type": "biz", "bk_scope_id": "2", "bk_biz_id": 2}
PAGE: Final = "https://job.test/api_execute/{}"
TO_ONE: Final[Json] = {"ip_list": [{"ip": "10.0.0.1", "bk_cloud_id": 0}]}

RUNNING: Final = 2
GOOD: Final = 3
FAILED: Final = 4


class Asked(NamedTuple):
    """A call of the platform: the API's name and its parameters."""

    name: str
    params: Json


class Platform:
    """Answers as a platform does; `replies` say what an API answers instead, call by call.

    A reply is the `data` of a good answer, a whole response, or what is raised; the last one of a
    list holds for all further calls.
    """

    def __init__(self, **replies: Reply | Sequence[Reply]) -> None:
        self.asked: list[Asked] = []
        self.requests: list[httpx.Request] = []
        self.states: dict[int, list[int]] = {}
        self.hosts: list[Json] = [host(1), host(2), host(3)]
        self.steps: list[Json] = [step(1, {"ip": "10.0.0.1", "bk_cloud_id": 0, "status": 9})]
        self.log = ""
        self.variables: list[Json] = []
        self._replies = {name.replace("__", "."): listed(reply) for name, reply in replies.items()}
        self._next_job = 777

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.requests.append(request)
        name = str(request.url.copy_with(query=None)).removeprefix(URL).strip("/").replace("/", ".")
        params = json.loads(request.content) if request.method == "POST" else query(request)
        self.asked.append(Asked(name, params))
        left = self._replies.get(name)
        if left is None:
            return good(self._default(name, params))
        reply = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(reply, httpx.Response):
            return reply
        if isinstance(reply, Exception):
            raise reply
        return good({**reply})

    def params_of(self, name: str) -> list[Json]:
        """Return the parameters of each call of an API."""
        return [each.params for each in self.asked if each.name == name]

    def names(self) -> list[str]:
        """Return the APIs that were called, in order."""
        return [each.name for each in self.asked]

    def _default(self, name: str, params: Json) -> JsonValue:
        if name.startswith("cc.list"):
            return self._hosts(name, params)
        if name == "jobv3.get_job_instance_status":
            return self._status(int(str(params["job_instance_id"])), params)
        if name == "jobv3.get_job_instance_ip_log":
            return {"log_content": self.log}
        if name == "jobv3.get_job_instance_global_var_value":
            return {"step_instance_var_list": [{"global_var_list": [*self.variables]}]}
        if name in STARTS:
            number, self._next_job = self._next_job, self._next_job + 1
            return {"job_instance_id": number, "job_instance_name": f"job {number}"}
        return {}

    def _hosts(self, name: str, params: Json) -> Json:
        if name == "cc.list_business_set":
            return {"info": [{"bk_biz_set_id": 9}]}
        rule = cast("Any", params["host_property_filter"])["rules"][0]
        found = [each for each in self.hosts if each.get(rule["field"]) in rule["value"]]
        if name == "cc.list_biz_hosts_topo":
            return {"count": len(found), "info": [{"host": each, "topo": []} for each in found]}
        return {"count": len(found), "info": [*found]}

    def _status(self, number: int, params: Json) -> Json:
        states = self.states.setdefault(number, [GOOD])
        with_hosts = params.get("return_ip_result") == "true"
        state = states[0] if with_hosts or len(states) == 1 else states.pop(0)
        steps: list[JsonValue] = [*self.steps] if with_hosts else []
        return {"job_instance": {"status": state}, "step_instance_list": steps}


STARTS: Final = frozenset(
    {
        "jobv3.fast_execute_script",
        "jobv3.execute_job_plan",
        "jobv3.fast_transfer_file",
        "jobv3.push_config_file",
    }
)


def listed(reply: Reply | Sequence[Reply]) -> list[Reply]:
    """Return replies as a list."""
    if isinstance(reply, Mapping | httpx.Response | Exception):
        return [reply]
    return [*reply]


def host(number: int, *, cloud: int = 0, v6: str = "") -> Json:
    """Return a host `10.0.0.<number>` as CMDB knows it."""
    return {
        "bk_host_id": number,
        "bk_host_innerip": f"10.0.0.{number}",
        "bk_host_innerip_v6": v6,
        "bk_cloud_id": cloud,
    }


def step(number: int, *hosts: Json) -> Json:
    """Return a step of a job with the results of its hosts."""
    return {"step_instance_id": number, "step_ip_result_list": [*hosts]}


def good(data: JsonValue) -> httpx.Response:
    """Return a good answer."""
    return httpx.Response(200, json={"result": True, "code": 0, "message": "", "data": data})


def refusal(message: str, code: int = 1, **more: JsonValue) -> httpx.Response:
    """Return a refusal."""
    return httpx.Response(
        200, json={"result": False, "code": code, "message": message, "data": None, **more}
    )


def query(request: httpx.Request) -> Json:
    """Return the parameters of a GET, all as text."""
    return dict(request.url.params)


def on_stage(
    platform: Callable[[httpx.Request], httpx.Response],
    context: Mapping[str, JsonValue] | None = None,
    /,
    **settings: JsonValue,
) -> Stage:
    """Return a stage before a platform."""
    return Stage(
        platform,
        settings={"blueking": {**SETTINGS, **settings}},
        context={**CONTEXT, **(context or {})},
    )


async def begun(stage: Stage, plugin: AnyPlugin, form: Json) -> Polling:
    """Take the first step of a component that starts a job."""
    result = await stage.call(plugin, form)
    assert isinstance(result, Polling), result
    return result
