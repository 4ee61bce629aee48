"""The way in for the command line and for tests: connect, start a run, send a verb, read a view."""

import difflib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, TypeVar

from pydantic import JsonValue
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import HeaderCodecBehavior, WorkflowIDReusePolicy
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.contract import TooLargeError
from stdops import OperationRefused, StdopsError
from workers.codec import CodecError
from workers.listing import RunSummary, list_query, list_runs
from workers.opening import open_messages
from workers.payloads import data_converter
from workers.secrets import sealed_values, secret_keys
from workers.server import run_url
from workers.settings import Settings
from workers.troubles import Trouble, troubles_of
from workflows.messages import too_large

T = TypeVar("T")

WORKFLOW_TYPE: Final = "RunFlow"

_ADDRESS: Final = "localhost:7233"
_CANDIDATES: Final = 200
_TRIES: Final = 3  # a verb that meets a run as it rolls over is surely not done
_NOT_CONNECTED: Final = "Failed client connect"
"""How the SDK's error begins when a lazy client finds no server."""
_OFFLOADED: Final = "TMPRL1105"
"""What the SDK's error names when a value was offloaded to a store that it was not told of."""
_TOLD: Final = (
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateFailedError,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowFailureError,
    ValueError,
)
_NO_SERVER: Final = "start one with `stdops dev` or set TEMPORAL_ADDRESS"


# --- connecting -------------------------------------------------------------------------------


async def connect(
    settings: Settings,
    *,
    address: str | None = None,
    namespace: str | None = None,
    lazy: bool = False,
) -> Client:
    """Connect by Temporal's own convention (`temporal.toml` profiles, `TEMPORAL_*`).

    Args:
        settings: Names the profile.
        address: Overrides the convention's address (the embedded server's, for example).
        namespace: Overrides the convention's namespace.
        lazy: Connect at the first request; for what must start while the server is away.

    Raises:
        StdopsError: the profile is wrong, or no server answers (SOP503).
    """
    config = connection_settings(settings.temporal_profile)
    target = config["target_host"] = address or config.get("target_host") or _ADDRESS
    if namespace:
        config["namespace"] = namespace
    try:
        converter = data_converter(settings)
        return await Client.connect(
            **config,
            data_converter=converter,
            header_codec_behavior=HeaderCodecBehavior.CODEC,
            lazy=lazy,
        )
    except (RuntimeError, RPCError, ValueError) as error:  # "cannot connect" is a RuntimeError
        raise _unreached(target, _first_line(error)) from None


def _unreached(target: str, reason: str) -> StdopsError:
    if "ertificate" in reason:  # rustls names the problem so, whatever it is
        what = f"TLS with the Temporal server at {target} fails"
        fix = "correct server_ca_cert_path, server_name, client_cert_path of the profile's tls"
        return StdopsError("SOP503", what, where=reason, fix=fix)
    return StdopsError("SOP503", f"no Temporal server at {target}", where=reason, fix=_NO_SERVER)


def connection_settings(profile: str | None) -> ClientConnectConfig:
    """Return how Temporal's own convention says to connect, of a profile or the default one.

    Raises:
        StdopsError: the profile is wrong (SOP503).
    """
    try:
        return ClientConfig.load_client_connect_config(profile)
    except (RuntimeError, ValueError, OSError) as error:
        raise StdopsError(
            "SOP503",
            f"the Temporal connection settings cannot be used: {_first_line(error)}",
            where="temporal.toml and TEMPORAL_*",
            fix="correct the profile, or name another by STDOPS_TEMPORAL_PROFILE",
        ) from None


# --- runs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What to start. `workflow_id` "" makes one; a caller's own makes the start idempotent.

    `secrets` names the inputs that are sealed before they are sent.
    `options` are further fields of the run's input, such as `on_failure`. `summary` and `details`
    stand on the run's page in the Web UI; `memo` is shown and listed with it.
    """

    template: str
    version: str | None = None
    inputs: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    secrets: tuple[str, ...] = ()
    operator: str = ""
    workflow_id: str = ""
    task_queue: str = ""
    on_failure: str = ""
    options: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    memo: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    summary: str | None = None
    details: str | None = None
    delay_s: float = 0


@dataclass(frozen=True, slots=True)
class Started:
    """A started run; `created` is False where the id was taken by the same start before."""

    workflow_id: str
    run_id: str
    url: str
    created: bool


class Runs:
    """Starts, operates and reads runs; every failure is a StdopsError that says the cure.

    `timeout_s` bounds the wait for an answer to a verb or a query.
    """

    def __init__(self, client: Client, settings: Settings, *, timeout_s: float = 30) -> None:
        self._client = client
        self._settings = settings
        self._timeout_s = timeout_s

    async def start(self, request: StartRequest) -> Started:
        """Start a run.

        Raises:
            StdopsError: the server is away or refuses (SOP503, SOP506).
        """
        workflow_id = request.workflow_id or new_workflow_id(request.template)
        request = sealed(request, self._settings)
        async with self._told(workflow_id):
            try:
                handle = await self._client.start_workflow(
                    WORKFLOW_TYPE,
                    run_input(request, self._settings.operator),
                    id=workflow_id,
                    task_queue=request.task_queue or self._settings.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo=request.memo or None,
                    static_summary=request.summary,
                    static_details=request.details,
                    start_delay=timedelta(seconds=request.delay_s) if request.delay_s else None,
                )
            except WorkflowAlreadyStartedError as error:
                return self._started(workflow_id, error.run_id or "", created=False)
        return self._started(workflow_id, handle.first_execution_run_id or "", created=True)

    async def verb(self, run: str, name: str, payload: Mapping[str, JsonValue]) -> Any:
        """Give a verb and return what the run answered.

        Raises:
            OperationRefused: the verb does not apply now.
            StdopsError: the run is unknown (SOP504), or no worker answered in time (SOP505).
        """
        _require_small(payload, run)
        async with self._told(run):
            return await self._bring(run, name, dict(payload), _TRIES)

    async def _bring(self, run: str, name: str, payload: dict[str, JsonValue], tries: int) -> Any:
        try:  # the SDK leaves the arguments of another overload untyped
            return await self._handle(run).execute_update(  # pyright: ignore[reportUnknownMemberType]
                name, payload, rpc_timeout=timedelta(seconds=self._timeout_s)
            )
        except RPCError as error:
            if tries == 1 or error.status is not RPCStatusCode.FAILED_PRECONDITION:
                raise
        return await self._bring(run, name, payload, tries - 1)

    async def signal(self, run: str, name: str, payload: Mapping[str, JsonValue]) -> None:
        """Give a verb without waiting for an answer; a refusal is recorded in the run.

        Raises:
            StdopsError: as `verb`.
        """
        _require_small(payload, run)
        async with self._told(run):
            await self._handle(run).signal(name, dict(payload))

    async def query(self, run: str, name: str, payload: JsonValue = None) -> Any:
        """Read a view of the run: `status`, `explain`, `diagram`, `history` or `variables`.

        Raises:
            StdopsError: as `verb`; SOP506 when the run cannot answer.
        """
        args = [] if payload is None else [payload]
        async with self._told(run):
            return await self._handle(run).query(
                name, args=args, rpc_timeout=timedelta(seconds=self._timeout_s)
            )

    async def troubles(self, run: str) -> "list[Trouble]":
        """Return the steps of a run that are tried again, and what went wrong.

        Raises:
            StdopsError: the run is unknown, or the server is away.
        """
        async with self._told(run):
            found = await self._handle(run).describe()
        await open_messages(self._client, found.raw_description.pending_activities)
        return troubles_of(found.raw_description.pending_activities)

    async def result(self, run: str) -> Any:
        """Wait for the end of the run and return its result.

        Raises:
            StdopsError: the run failed, was cancelled or terminated (SOP507), or is unknown.
        """
        async with self._told(run):
            return await self._handle(run).result()

    async def list(
        self, *, state: str | None = None, template: str | None = None, limit: int = 100
    ) -> "list[RunSummary]":
        """Return the newest runs, at most `limit`, of one state or template if given."""
        query = list_query(self._settings.task_queue, state=state, template=template)
        async with self._told(""):
            return await list_runs(self._client, query, limit, self.url_of)

    async def ask(self, run: str, work: Awaitable[T]) -> T:
        """Await a request about a run that the client itself makes, with its errors as ours.

        Raises:
            StdopsError: as `verb`.
        """
        async with self._told(run):
            return await work

    def url_of(self, workflow_id: str, run_id: str) -> str:
        """Return the page of a run in the Web UI."""
        return run_url(self._settings.ui_url, self._client.namespace, workflow_id, run_id)

    def _handle(self, run: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(run)

    def _started(self, workflow_id: str, run_id: str, *, created: bool) -> Started:
        return Started(workflow_id, run_id, self.url_of(workflow_id, run_id), created)

    @asynccontextmanager
    async def _told(self, run: str) -> AsyncGenerator[None]:
        """Turn the SDK's errors into ours; an unknown run gets its candidates."""
        try:
            yield
        except RPCError as error:
            if run and error.status is RPCStatusCode.NOT_FOUND and _names_a_run(error):
                raise await self._unknown_run(run, error) from None
            raise _rpc_error(error, run, self._client.service_client.config.target_host) from error
        except CodecError as error:
            raise _undecodable(error, run) from None
        except RuntimeError as error:
            raise _unconnected(error, self._client.service_client.config.target_host) from None
        except _TOLD as error:
            raise _told_as(error, run) from None

    async def _unknown_run(self, run: str, error: RPCError) -> StdopsError:
        if "already completed" in error.message:
            fix = f"start a new run; `stdops status {run}` shows how this one ended"
            ended = OperationRefused("SOP300", f"run {run!r} has ended", fix=fix)
            ended.reason = "ended"
            return ended
        try:
            known = [one.workflow_id for one in await self.list(limit=_CANDIDATES)]
        except StdopsError:
            known = []
        near = [name for name in known if name.startswith(run)][:3]
        near = near or difflib.get_close_matches(run, known, n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see `stdops list`"
        where = f"namespace {self._client.namespace}"
        return StdopsError("SOP504", f"unknown run {run!r}", where=where, fix=hint)


# --- pure parts -------------------------------------------------------------------------------


def _told_as(error: Exception, run: str) -> Exception:
    """Return one of the SDK's errors as ours; a value error that is not about a run stays."""
    match error:
        case WorkflowUpdateRPCTimeoutOrCancelledError():
            return _no_answer(run)
        case WorkflowUpdateFailedError():
            return refusal(error.cause, run)
        case WorkflowFailureError():
            return _ended_badly(error.cause, run)
        case TooLargeError():
            return StdopsError("SOP532", f"the input is too large: {error}", where=run)
        case ValueError():
            return _paused_by_server(error, run)
        case _:
            return _unreadable(error, run)


def _require_small(payload: Mapping[str, JsonValue], run: str) -> None:
    """Refuse what the run would refuse, before a workflow task has to carry it."""
    if text := too_large(payload):
        raise OperationRefused("SOP300", text, where=f"run {run}")


def new_workflow_id(template: str) -> str:
    """Return a fresh workflow id, `<template>-<8 hex>`."""
    return f"{template}-{secrets.token_hex(4)}"


def sealed(request: StartRequest, settings: Settings) -> StartRequest:
    """Return a request whose secret inputs are sealed."""
    keys = secret_keys(settings)
    return replace(request, inputs=sealed_values(request.inputs, request.secrets, keys))


def run_input(request: StartRequest, operator: str) -> dict[str, JsonValue]:
    """Return the run's input, one JSON object; `operator` is who starts it unless it says so."""
    return {
        "template": request.template,
        "version": request.version,
        "inputs": dict(request.inputs),
        "operator": request.operator or operator,
        **({"on_failure": request.on_failure} if request.on_failure else {}),
        **request.options,
    }


def refusal(cause: BaseException | None, run: str) -> OperationRefused:
    """Return the refusal of an update; the code is the run's where it gave one."""
    code = cause.type if isinstance(cause, ApplicationError) else None
    known = code if code and code.startswith("SOP") else "SOP300"
    what = cause.message if isinstance(cause, ApplicationError) else str(cause)
    made = OperationRefused(known, what.removeprefix(f"{known} "), where=f"run {run}")
    if isinstance(cause, ApplicationError) and cause.type == "OperationRefused" and cause.details:
        made.reason = str(cause.details[0])
    return made


def _names_a_run(error: RPCError) -> bool:
    return "amespace" not in error.message


def _rpc_error(error: RPCError, run: str, address: str) -> StdopsError:
    match error.status:
        case RPCStatusCode.UNAVAILABLE:
            return StdopsError("SOP503", f"no Temporal server at {address}", fix=_NO_SERVER)
        case RPCStatusCode.UNAUTHENTICATED | RPCStatusCode.PERMISSION_DENIED:
            fix = "check the profile's api_key, TLS files and namespace"
            return StdopsError(
                "SOP503", f"Temporal refuses us: {_first_line(error)}", where=address, fix=fix
            )
        case RPCStatusCode.DEADLINE_EXCEEDED | RPCStatusCode.CANCELLED:
            return _no_answer(run)
        case RPCStatusCode.NOT_FOUND:
            fix = "create the namespace, or set TEMPORAL_NAMESPACE to one that exists"
            return StdopsError("SOP503", _first_line(error), where=address, fix=fix)
        case _:
            fix = "correct what it names; the server's log says more"
            what = f"Temporal refused the request: {_first_line(error)}"
            return StdopsError("SOP506", what, where=run, fix=fix)


def _unconnected(error: RuntimeError, address: str) -> Exception:
    """Return what to raise for an error of a client that connects at its first request."""
    if _OFFLOADED in str(error):
        what, fix = "this client does not know the payload store", "set STDOPS_PAYLOAD_STORE"
        return StdopsError("SOP531", what, fix=f"{fix} as the workers have it")
    if not str(error).startswith(_NOT_CONNECTED):
        return error
    return StdopsError("SOP503", f"no Temporal server at {address}", fix=_NO_SERVER)


def _undecodable(error: CodecError, run: str) -> StdopsError:
    where = f"run {run}" if run else ""
    fix = "set STDOPS_CODEC_KEYS to the keys of the workers"
    return StdopsError("SOP518", str(error), where=where, fix=fix)


def _no_answer(run: str) -> StdopsError:
    return StdopsError(
        "SOP505",
        "no worker answered in time",
        where=f"run {run}",
        fix="start a worker with `stdops worker`; the Web UI's Workers tab shows who polls",
    )


def _paused_by_server(error: ValueError, run: str) -> Exception:
    """Return our error where the SDK met that status, which it does not know; else its own."""
    if "WorkflowExecutionStatus" not in str(error):
        return error
    return StdopsError(
        "SOP506",
        "the Temporal server itself has paused the run, so it cannot answer",
        where=f"run {run}" if run else "",
        fix="`temporal workflow unpause --workflow-id RUN` ends that",
    )


def _unreadable(error: BaseException, run: str) -> StdopsError:
    fix = "check the name of the view; `stdops status` reads the usual one"
    return StdopsError(
        "SOP506", f"the run cannot answer: {_first_line(error)}", where=f"run {run}", fix=fix
    )


def _ended_badly(cause: BaseException, run: str) -> StdopsError:
    match cause:
        case CancelledError():
            what = "was cancelled"
        case TerminatedError():
            what = f"was terminated: {cause.message}"
        case _:
            what = f"failed: {_first_line(cause)}"
    fix = f"`stdops explain {run}` says why, the Web UI shows the history"
    return StdopsError("SOP507", f"run {run!r} {what}", fix=fix)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
