"""The client of BlueKing's APIs: credentials, envelope, paging, limits, and what a failure means.

Source: bk-sops's API client and the platform's own documents; differs: certificates are checked,
every call has a limit in time, and calls are spread so that the platform is not flooded.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

import httpx
from aiolimiter import AsyncLimiter
from pydantic import JsonValue

from activities.blueking.apis import APIS, Api
from activities.blueking.config import BlueKingSettings
from activities.calls import OutcomeUnknown, PluginError
from activities.http_client import HIDDEN, HttpClient, fault_of

Json = dict[str, JsonValue]

DENIED: Final = 9900403
"""Code of an answer that the access management has refused."""

GROUPS: Final[Mapping[str, str]] = {
    "bcs-api-gateway": "容器管理平台(BK-BCS)",
    "cc": "配置平台(CMDB)",
    "jobv3": "作业平台(JOB)",
    "cmsi": "蓝鲸服务(BK)",
    "itsm": "流程服务(ITSM)",
    "monitor_v3": "监控平台(Monitor)",
    "nodeman": "节点管理(Nodeman)",
    "nodemgr": "节点管理V3(Nodemgr)",
    "bk_log": "日志平台(BK-LOG)",
    "devops": "持续集成平台(BK-CI)",
    "gse": "管控平台(GSE)",
    "gsekit": "GSEKit(GSEKit)",
}
"""What error texts call a system."""

CMDB_PAGE: Final = 500
GROUP_PAGE: Final = 200
JOB_PAGE: Final = 1000
MOST_PAGES: Final = 200
LONGEST_WAIT_S: Final = 200.0
"""How long a call waits for its turn: less than a step may take, so that the step can tell."""

_SHOWN_PARAMS: Final = 2000
_UNSHOWN: Final = frozenset(
    {
        "callback_url",
        "script_content",
        "script_param",
        "content",
        "credential_password",
        "password",
        "login_password",
        "login_key_file",
    }
)
"""Parameters that may hold secrets in a form that masking does not find, such as base64."""

_TOO_MANY: Final = (
    "too many calls of BlueKing wait on this worker: raise blueking.calls_per_second, "
    "or run more workers"
)
_STANDS: Final = "what this step changed before that call stands: look at it before a retry"
_GATEWAY: Final = frozenset({502, 503, 504})
"""Statuses of a gateway that has not reached the platform, or lost its answer."""
_CODE_ALONE: Final = frozenset({"gse", "nodemgr"})
"""Systems whose answers have a code and no `result`."""
_STATUS_ALONE: Final = frozenset({"devops"})
"""Systems whose answers have a status, 0 for good, and no `result`."""
_DETAILS_IN_DATA: Final = frozenset({"nodeman"})
"""Systems whose refusals say in their data what is wrong."""

T = TypeVar("T")
R = TypeVar("R")


class ApiError(PluginError):
    """BlueKing has refused a call; `code` is the answer's, `message` what it says."""

    def __init__(self, what: str, *, code: JsonValue, message: str, retryable: bool) -> None:
        super().__init__(what, retryable=retryable)
        self.code = code
        self.message = message


class Identity(NamedTuple):
    """For whom a call is made: the user, and the language of the answers."""

    user: str
    language: str = ""


class BlueKing:
    """The APIs of one platform as one user, for one step of a plugin.

    A call that only reads may be repeated, so a lost answer to it lets the whole step be repeated
    as long as the step has changed nothing.
    """

    def __init__(
        self, http: HttpClient, settings: BlueKingSettings, identity: Identity, pace: AsyncLimiter
    ) -> None:
        self.settings: Final = settings
        self._http = http
        self._identity = identity
        self._pace = pace
        self._has_written = False

    async def call(self, name: str, params: Mapping[str, JsonValue], **path: str) -> Any:
        """Call an API and return the `data` of its answer.

        Args:
            name: one of `APIS`, such as `cc.search_set`.
            params: the query of a GET, else the JSON body.
            path: what stands in the braces of the API's path.

        Raises:
            ApiError: the platform refuses.
            httpx.HTTPError: no answer, and the call may have been taken.
        """
        return (await self.answer(name, params, **path)).get("data")

    async def object(self, name: str, params: Mapping[str, JsonValue], **path: str) -> Json:
        """Call an API as `call` does; data that is no object is an empty one."""
        return as_object(await self.call(name, params, **path))

    async def rows(self, name: str, params: Mapping[str, JsonValue], **path: str) -> list[Json]:
        """Call an API as `call` does; data that is no list of objects is an empty one."""
        return as_rows(await self.call(name, params, **path))

    async def answer(self, name: str, params: Mapping[str, JsonValue], **path: str) -> Json:
        """Call an API as `call` does and return its whole answer."""
        api, system = APIS[name], name.split(".", 1)[0]
        url = self.settings.url_of(system, api.path.format(**path))
        answer = _read(await self._send(api, url, params))
        if _is_good(answer, system):
            return answer
        raise _refused(name, params, answer, retryable=False)

    async def pages(
        self,
        name: str,
        params: Mapping[str, JsonValue],
        *,
        size: int = CMDB_PAGE,
    ) -> list[Json]:
        """Return all rows of a paged CMDB list: `data.info` of every page, in order."""
        return await self._all_pages(
            name, size, lambda at, many: {**params, "page": {"start": at, "limit": many}}, "info"
        )

    async def job_pages(self, name: str, params: Mapping[str, JsonValue]) -> list[Json]:
        """Return all rows of a paged JOB list: `data.data` of every page, in order."""
        return await self._all_pages(
            name, JOB_PAGE, lambda at, many: {**params, "start": at, "length": many}, "data"
        )

    async def at_once(
        self, work: Callable[[T], Awaitable[R]], items: Iterable[T]
    ) -> list[R | PluginError | httpx.HTTPError]:
        """Do `work` for each item, some at the same time; a failed one gives its error.

        What is neither the platform's refusal nor a lost answer is a bug, and is raised.
        """
        gate = asyncio.Semaphore(self.settings.at_once)

        async def one(item: T) -> R | PluginError | httpx.HTTPError:
            async with gate:
                try:
                    return await work(item)
                except (PluginError, httpx.HTTPError) as error:
                    return error

        return list(await asyncio.gather(*(one(item) for item in items)))

    async def _all_pages(
        self,
        name: str,
        size: int,
        asked: Callable[[int, int], Json],
        rows: str,
    ) -> list[Json]:
        """Ask for the first page, which tells the total, then for the rest together."""
        first = as_object(await self.call(name, asked(0, size)))
        total = first.get("count", first.get("total", 0))
        count = total if isinstance(total, int) else 0
        starts = range(size, min(count, size * MOST_PAGES), size)
        found = as_rows(first.get(rows))
        for page in await asyncio.gather(*(self.call(name, asked(at, size)) for at in starts)):
            found += as_rows(as_object(page).get(rows))
        return found

    async def _send(self, api: Api, url: str, params: Mapping[str, JsonValue]) -> httpx.Response:
        await self._wait_for_turn()
        try:
            response = await self._http.request(
                api.method,
                url,
                headers=self._headers(api),
                timeout=self.settings.timeout_s,
                **_carried(api, params),
            )
            _raise_if_lost(api, response)
        except httpx.HTTPError as error:
            told = self._told(api, error)
            if told is None:
                raise
            raise told from error
        self._has_written = self._has_written or not api.only_reads
        return response

    async def _wait_for_turn(self) -> None:
        """Wait until the worker may call again; an end of its own comes before the step's limit.

        Raises:
            PluginError: too many wait; it may be tried again where the step has changed nothing.
        """
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                await self._pace.acquire()
        except TimeoutError:
            raise PluginError(_TOO_MANY, retryable=not self._has_written) from None

    def _told(self, api: Api, error: httpx.HTTPError) -> PluginError | None:
        """Return what a lost call means for its step where that is not what the error says.

        Sent again is only a step that has changed nothing: not one that reads after it wrote.
        """
        fault = fault_of(error)
        if fault is None or fault.verdict == "refused":
            return None
        if fault.verdict != "not_taken" and not api.only_reads:
            self._has_written = True
            return None
        if self._has_written:
            return PluginError(f"{fault.what}; {_STANDS}")
        if fault.verdict != "not_taken":
            return PluginError(fault.what, retryable=True, after_s=fault.after_s)
        return None

    def _headers(self, api: Api) -> dict[str, str]:
        settings, who = self.settings, self._identity
        credentials: dict[str, str] = {
            "bk_app_code": settings.app_code,
            "bk_app_secret": settings.app_secret.get_secret_value(),
        }
        if token := settings.access_token.get_secret_value():
            credentials["access_token"] = token
        else:
            credentials["bk_username"] = who.user
        return {
            "X-Bkapi-Authorization": json.dumps(credentials),
            **({api.user_header: who.user} if api.user_header else {}),
            **({"blueking-language": who.language} if who.language else {}),
            **({"X-Bk-Tenant-Id": settings.tenant} if settings.tenant else {}),
            **({"x-use-test-env": "1"} if settings.test_environment else {}),
        }


def failure_text(
    name: str, params: Mapping[str, JsonValue], message: str, request_id: str = ""
) -> str:
    """Return what an operator reads of a refused call.

    Source: bk-sops's helper for failed platform calls.
    """
    system = GROUPS.get(name.split(".", 1)[0], name.split(".", 1)[0])
    shown = json.dumps(_shown(dict(params)), ensure_ascii=False)
    shown = shown if len(shown) <= _SHOWN_PARAMS else f"{shown[: _SHOWN_PARAMS - 1]}…"
    text = f"调用{system}接口{name}返回失败, error={message}, params={shown}"
    return f"{text}, request_id={request_id}" if request_id else text


def _shown(value: JsonValue) -> JsonValue:
    """Return parameters as people may read them."""
    match value:
        case dict():
            return {k: HIDDEN if k in _UNSHOWN and v else _shown(v) for k, v in value.items()}
        case list():
            return [_shown(item) for item in value]
        case _:
            return value


def lost(error: Exception, where: str) -> OutcomeUnknown | None:
    """Return what to raise for a write whose answer was lost: `where` says what to look at.

    None when `error` is something else.
    """
    fault = fault_of(error)
    if fault is None or fault.verdict != "unknown":
        return None
    return OutcomeUnknown(fault.what, where)


def texts_of(errors: Sequence[object]) -> list[str]:
    """Return the texts of those of `errors` that are errors."""
    return [
        error.what if isinstance(error, PluginError) else str(error)
        for error in errors
        if isinstance(error, PluginError | httpx.HTTPError)
    ]


def _carried(api: Api, params: Mapping[str, JsonValue]) -> dict[str, Any]:
    if api.method != "GET":
        return {"json": dict(params)}
    return {"params": {key: _as_query(value) for key, value in params.items()}}


def _as_query(value: JsonValue) -> str | int | float:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return value
        case None:
            return ""
        case _:
            return json.dumps(value, ensure_ascii=False)


def _raise_if_lost(api: Api, response: httpx.Response) -> None:
    """Let only answers of the platform itself through.

    Raises:
        httpx.HTTPStatusError: the other side is too busy, or a gateway has lost the call.
    """
    fault = fault_of(httpx.HTTPStatusError("", request=response.request, response=response))
    is_lost = fault is not None and fault.verdict in ("not_taken", "unknown")
    if response.is_error and (is_lost or (api.only_reads and response.status_code in _GATEWAY)):
        response.raise_for_status()


def _read(response: httpx.Response) -> Json:
    """Return the answer's envelope; what is none becomes a refusal."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        return cast("Json", body)
    message = f"Request component error, status_code: {response.status_code}"
    return {"result": False, "message": message, "data": None}


def _is_good(answer: Json, system: str) -> bool:
    if system in _CODE_ALONE:
        return answer.get("code") == 0
    if system in _STATUS_ALONE:
        return answer.get("status") == 0
    return answer.get("result") is True


def _refused(
    name: str, params: Mapping[str, JsonValue], answer: Json, *, retryable: bool
) -> ApiError:
    message = str(answer.get("message") or answer.get("bk_error_msg") or "")
    if name.split(".", 1)[0] in _DETAILS_IN_DATA and answer.get("data"):
        message += json.dumps(answer["data"], ensure_ascii=False)
    text = failure_text(name, params, message, str(answer.get("request_id") or ""))
    if answer.get("code") == DENIED:
        text = f"{_permission_text(name, answer)}{text}"
    return ApiError(text, code=answer.get("code"), message=message, retryable=retryable)


def _permission_text(name: str, answer: Json) -> str:
    """Say which permissions are missing."""
    system = GROUPS.get(name.split(".", 1)[0], "")
    permission = as_object(answer.get("permission"))
    actions = [as_object(action) for action in _list(permission.get("actions"))]
    named = ", ".join(str(each.get("name") or each.get("id") or "") for each in actions)
    missing = f" ({named})" if named else ""
    return f"调用{system}接口{name}无权限{missing}: apply for it in the access management. "


def as_object(value: object) -> Json:
    """Return `value` if it is an object, else an empty one."""
    return cast("Json", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[JsonValue]:
    return cast("list[JsonValue]", value) if isinstance(value, list) else []


def as_rows(value: object) -> list[Json]:
    """Return `value` as a list of objects; what is none is empty."""
    return [as_object(row) for row in _list(value)]
