"""The way to a plugin service: finds it, and sends the three requests of the protocol.

What may be asked again follows from the request. Looking is safe: whatever is lost or broken may
pass. An invoke starts work and knows no idempotency key: it is sent again only where it was surely
not taken (no connection, 429, 503); of every other lost answer nobody knows.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Self, TypeVar, final
from urllib.parse import quote

from pydantic import JsonValue, ValidationError

from activities.expressions.opening import current
from activities.http_client import fault_of, retry_after_s
from activities.remote.protocol import (
    DETAIL,
    INVOKE,
    RESOLVE,
    SCHEDULE,
    Answer,
    Deployment,
    Detail,
    Envelope,
    Listing,
    Phase,
    Progress,
    State,
)
from activities.remote.settings import TABLE, RemoteSettings
from activities.sdk import Call, OutcomeUnknown, PluginError

T = TypeVar("T")
AnswerT = TypeVar("AnswerT", bound=Answer)

_PATH: Final = "bk_plugin"
"""Where a service has its API."""
_SERVICE_ADDRESS: Final = 2
"""The type of the address at which a deployment itself answers."""
_PASSING: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT})
_SHOWN_CHARS: Final = 300


class Invoked(NamedTuple):
    """What an invoke has led to; `trace_id` names the execution from now on."""

    trace_id: str
    progress: Progress


class Place(NamedTuple):
    """Where a service is: `url` for looking, `invoke_url` for starting work."""

    url: str
    invoke_url: str


class Reply(NamedTuple):
    """An answer with a status; `json` is None where the body is none."""

    status: int
    brief: str
    json: JsonValue
    after_s: float | None


@final
class Memory:
    """What services have said, for a while; one of it in a worker."""

    def __init__(self) -> None:
        self._known: dict[object, tuple[datetime, Any]] = {}

    async def recall(
        self, key: object, now: datetime, for_s: float, find: Callable[[], Awaitable[T]]
    ) -> T:
        """Return what is known under `key`; what is not, or no longer, is found anew."""
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[1]
        found = await find()
        fresh = {k: kept for k, kept in self._known.items() if now < kept[0]}
        self._known = {**fresh, key: (now + timedelta(seconds=for_s), found)}
        return found


@final
class Remote:
    """One version of a plugin, as a step of a node sees it; `find` makes one.

    Whatever goes wrong is a `PluginError`, retryable where it may pass, or `OutcomeUnknown`.
    """

    def __init__(
        self, call: Call[Any], settings: RemoteSettings, name: tuple[str, str], place: Place
    ) -> None:
        self._call: Final = call
        self._code, self._version = name
        self._place: Final = place
        self.settings: Final = settings

    @classmethod
    async def find(cls, call: Call[Any], code: str, version: str) -> Self:
        """Find a plugin's service: by the settings, else by PaaS v3."""
        settings = call.shelf.settings(TABLE, RemoteSettings)
        named = settings.services.get(code)
        if named is not None:
            own = f"{named.url.rstrip('/').removesuffix(f'/{_PATH}')}/{_PATH}"
            place = Place(own, named.invoke_url.rstrip("/") or own)
            return cls(call, settings, (code, version), place)
        _check_platform(settings, code)
        place = await _memory(call).recall(
            ("place", code), call.now(), settings.cache_s, lambda: _listed(call, settings, code)
        )
        return cls(call, settings, (code, version), place)

    async def detail(self) -> Detail:
        """Return what the version says of itself; remembered for a while."""
        settings, key = self.settings, ("detail", self._place.url, self._code, self._version)
        return await _memory(self._call).recall(
            key, self._call.now(), settings.cache_s, self._ask_detail
        )

    async def invoke(
        self, inputs: Mapping[str, JsonValue], context: Mapping[str, JsonValue]
    ) -> Invoked:
        """Start an execution.

        Raises:
            PluginError: the service refuses it, or has surely not taken it (retryable).
            OutcomeUnknown: it may have started.
        """
        where = f"the logs of plugin {self._code!r} {self._version}"
        url = f"{self._place.invoke_url}/invoke/{quote(self._version)}"
        body = {"inputs": dict(inputs), "context": dict(context)}
        reply = await self._post(url, body, where)
        envelope = _read(reply, Envelope)
        progress = envelope and _model(envelope.data, Progress)
        if envelope is not None and not envelope.result:
            raise PluginError(INVOKE.failed(str(envelope.message), envelope.trace_id or ""))
        if envelope is None or progress is None or _is_lost(envelope, progress):
            raise OutcomeUnknown(f"the answer is none of the protocol: {reply.brief}", where)
        return Invoked(envelope.trace_id or "", progress)

    async def look(self, trace_id: str) -> Progress:
        """Return how far an execution is that has not ended when it was invoked."""
        url = f"{self._place.url}/schedule/{quote(trace_id)}"
        data = await _enveloped(self._call, self.settings, url, (SCHEDULE, trace_id))
        return _must_be(data, Progress, (SCHEDULE, trace_id))

    async def _ask_detail(self) -> Detail:
        url = f"{self._place.url}/detail/{quote(self._version)}"
        data = await _enveloped(self._call, self.settings, url, (DETAIL, ""))
        return _must_be(data, Detail, (DETAIL, ""))

    async def _post(self, url: str, body: Mapping[str, JsonValue], where: str) -> Reply:
        """Send what starts work; an answer that says no is an error."""
        call, headers = self._call, credentials(self.settings)
        try:
            response = await call.http.post(
                url, json=body, headers=headers, timeout=self.settings.timeout_s
            )
            reply = _reply(response)
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            if fault.verdict == "unknown":
                raise OutcomeUnknown(fault.what, where) from error
            may_pass, what = fault.verdict == "not_taken", INVOKE.failed(fault.what)
            raise PluginError(what, retryable=may_pass, after_s=fault.after_s) from error
        if reply.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            raise PluginError(INVOKE.failed(reply.brief), retryable=True, after_s=reply.after_s)
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise OutcomeUnknown(f"the plugin's service broke down: {reply.brief}", where)
        if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise PluginError(INVOKE.failed(reply.brief, _trace_of(reply)))
        return reply


def credentials(settings: RemoteSettings) -> dict[str, str]:
    """Return the header that says who calls; empty where the settings name no application.

    The secret is masked from now on in all that people read.
    """
    if not settings.app_code:
        return {}
    secret = settings.app_secret.get_secret_value()
    found = current()
    if found is not None:
        found.remember(secret)
    known = {"bk_app_code": settings.app_code, "bk_app_secret": secret}
    return {"X-Bkapi-Authorization": json.dumps(known)}


# --- finding ----------------------------------------------------------------------------------


def _check_platform(settings: RemoteSettings, code: str) -> None:
    """Require what it takes to ask the platform for a plugin."""
    missing = [
        name for name in ("paas_url", "gateway_url", "app_code") if not getattr(settings, name)
    ]
    if missing:
        raise PluginError(
            RESOLVE.failed(
                f"nothing says where plugin {code!r} is; give its address as services.{code}, or "
                f"{', '.join(missing)} (in [plugins.{TABLE}] of the workers' settings)"
            )
        )


async def _listed(call: Call[Any], settings: RemoteSettings, code: str) -> Place:
    """Ask PaaS v3 where a plugin is."""
    # its gateway has this one stage, whatever the plugins' is
    url = f"{settings.paas_url.rstrip('/')}/prod/system/bk_plugins/{quote(code)}"
    reply = await _get(call, settings, url, (RESOLVE, ""), credentials(settings))
    listing = _must_be(reply.json, Listing, (RESOLVE, ""))
    found = listing.deployed_statuses.get(settings.stage, Deployment())
    own = next((a.address for a in found.addresses if a.type == _SERVICE_ADDRESS), "")
    if not found.deployed or not own:
        what = f"plugin {code!r} is not deployed in stage {settings.stage!r}; deploy it, then retry"
        raise PluginError(RESOLVE.failed(what))
    api_name = listing.profile.api_gw_name or code
    gateway = settings.gateway_url.replace("{api_name}", api_name).rstrip("/")
    return Place(f"{own.rstrip('/')}/{_PATH}", f"{gateway}/{settings.stage}")


def _memory(call: Call[Any]) -> Memory:
    return call.shelf.shared(Memory, Memory)


# --- asking -----------------------------------------------------------------------------------


async def _enveloped(
    call: Call[Any], settings: RemoteSettings, url: str, about: tuple[Phase, str]
) -> JsonValue:
    """Ask a service, and return what its answer is about."""
    phase, trace_id = about
    reply = await _get(call, settings, url, about, {})
    envelope = _must_be(reply.json, Envelope, about)
    if not envelope.result:
        raise PluginError(phase.failed(str(envelope.message), trace_id))
    return envelope.data


async def _get(
    call: Call[Any],
    settings: RemoteSettings,
    url: str,
    about: tuple[Phase, str],
    headers: Mapping[str, str],
) -> Reply:
    """Ask; what is lost or broken may pass."""
    phase, trace_id = about
    try:
        response = await call.http.get(
            url, headers=headers, timeout=settings.timeout_s, follow_redirects=True
        )
        reply = _reply(response)
    except Exception as error:
        fault = fault_of(error)
        if fault is None:
            raise
        what, may_pass = phase.failed(fault.what, trace_id), fault.verdict == "not_taken"
        raise PluginError(what, retryable=may_pass, after_s=fault.after_s) from error
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        may_pass = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in _PASSING
        what = phase.failed(f"GET {url} answered {reply.brief}", trace_id)
        raise PluginError(what, retryable=may_pass, after_s=reply.after_s)
    return reply


def _reply(response: Any) -> Reply:  # Any: httpx's, which stays behind `http_client`
    text = " ".join(response.text[: 2 * _SHOWN_CHARS].split())
    status = f"{response.status_code} {response.reason_phrase}".rstrip()
    try:
        found: JsonValue = response.json()
    except (ValueError, RecursionError):
        found = None
    said = found.get("message") if isinstance(found, dict) else None
    shown = str(said or text)[:_SHOWN_CHARS]
    brief = f"{status}: {shown}" if shown else status
    return Reply(response.status_code, brief, found, retry_after_s(response))


def _must_be(data: JsonValue, model: type[AnswerT], about: tuple[Phase, str]) -> AnswerT:
    """Read an answer to a question; one that is none may come of something in between."""
    found = _model(data, model)
    if found is None:
        phase, trace_id = about
        raise PluginError(
            phase.failed("the answer is none of the protocol", trace_id), retryable=True
        )
    return found


def _read(reply: Reply, model: type[AnswerT]) -> AnswerT | None:
    return _model(reply.json, model)


def _model(data: JsonValue, model: type[AnswerT]) -> AnswerT | None:
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _is_lost(envelope: Envelope, progress: Progress) -> bool:
    """Say whether work goes on that nobody could find again."""
    return progress.state in (State.EMPTY, State.POLL, State.CALLBACK) and not envelope.trace_id


def _trace_of(reply: Reply) -> str:
    found = _read(reply, Envelope)
    return (found.trace_id if found else "") or ""
