"""The plain `temporal` command that does what a command of ours does, for people who live there.

The same profile and `TEMPORAL_*` variables lead both commands to the server; what is not the
default is written out all the same, so that a command can be handed to somebody else. Keys are not.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from pydantic import JsonValue
    from temporalio.envconfig import ClientConnectConfig

    from workers.client import StartRequest
    from workers.settings import Settings

Words = Sequence[str]

_ADDRESS: Final = "localhost:7233"
_NAMESPACE: Final = "default"


def show(settings: "Settings", *commands: Words) -> None:
    """Print commands, a line each."""
    from workers.client import connection_settings

    flags = connection_flags(connection_settings(settings.temporal_profile), settings)
    for words in commands:
        typer.echo(shlex.join(["temporal", *words, *flags]))


def connection_flags(config: "ClientConnectConfig", settings: "Settings") -> list[str]:
    """Return the flags of a connection that is not the default one."""
    flags: list[str] = []
    if settings.temporal_profile:
        flags += ["--profile", settings.temporal_profile]
    if (address := config.get("target_host") or _ADDRESS) != _ADDRESS:
        flags += ["--address", address]
    if (namespace := config.get("namespace") or _NAMESPACE) != _NAMESPACE:
        flags += ["--namespace", namespace]
    if settings.codec_endpoint:
        flags += ["--codec-endpoint", settings.codec_endpoint]
    return [*flags, "--tls"] if config.get("tls") else flags


def update(run: str, verb: str, message: "Mapping[str, JsonValue]") -> Words:
    """Return the command that gives a verb as an update."""
    return ["workflow", "update", "execute", *_to(run), "--name", verb, "--input", _json(message)]


def signal(run: str, verb: str, message: "Mapping[str, JsonValue]") -> Words:
    """Return the command that gives a verb as a signal."""
    return ["workflow", "signal", *_to(run), "--name", verb, "--input", _json(message)]


def query(run: str, name: str, argument: "JsonValue" = None) -> Words:
    """Return the command that reads a view of a run."""
    given = [] if argument is None else ["--input", _json(argument)]
    return ["workflow", "query", *_to(run), "--type", name, *given]


def describe(run: str) -> Words:
    """Return the command that shows what the server knows of a run."""
    return ["workflow", "describe", *_to(run)]


def history(run: str) -> Words:
    """Return the command that prints a run's events."""
    return ["workflow", "show", *_to(run), "--output", "json"]


def pollers(queue: str) -> Words:
    """Return the command that shows who polls a task queue."""
    return ["task-queue", "describe", "--task-queue", queue]


def listing(wanted: str, limit: int) -> Words:
    """Return the command that lists runs."""
    return ["workflow", "list", "--query", wanted, "--limit", str(limit)]


def start(request: "StartRequest", settings: "Settings", *, wait: bool) -> Words:
    """Return the command that starts a run, with `wait` the one that waits for its end."""
    from workers.client import WORKFLOW_TYPE, run_input

    words = ["workflow", "execute" if wait else "start", *_to(request.workflow_id)]
    words += ["--type", WORKFLOW_TYPE, "--task-queue", request.task_queue or settings.task_queue]
    words += ["--id-reuse-policy", "RejectDuplicate"]
    for key, value in request.memo.items():
        words += ["--memo", f"{key}={_json(value)}"]
    if request.summary:
        words += ["--static-summary", request.summary]
    if request.details:
        words += ["--static-details", request.details]
    return [*words, "--input", _json(run_input(request, settings.operator))]


def _to(run: str) -> list[str]:
    return ["--workflow-id", run]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=dict)
