"""What the doctor looks at on the Temporal server: namespace, attributes, pollers, clock."""

import asyncio
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    GetSystemInfoRequest,
    PollActivityTaskQueueRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from stdops import StdopsError, __version__
from workers.doctor.findings import Finding, failure, skipped, warning, well
from workers.pollers import KINDS, Kind, pollers
from workers.server import SEARCH_ATTRIBUTES
from workers.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client

MOST_SKEW_S: Final = 5.0
"""From that difference of clocks on, times on pages and limits of tokens mislead."""

_ASK: Final = timedelta(seconds=10)
_SEEN: Final = 50
"""How often we look for our own poll before we give up; a tenth of a second apart."""
_OURS: Final = re.compile(r"stdops (\S+) \d+@")


async def examine_server(settings: Settings) -> list[Finding]:
    """Make every check of the server; one that is away is one finding, and the rest is left out."""
    from workers.client import connect

    try:
        client = await connect(settings)
        found = [await look_at_version(client)]
    except StdopsError as error:
        why = "runs live there; without it nothing starts or goes on"
        where = error.where
        away = failure("server", error.what, why, error.fix, where)
        return [
            away,
            skipped("namespace, attributes, workers, versions, clock", "the server is away"),
        ]
    namespace = await look_at_namespace(client)
    found.append(namespace)
    if namespace.state == "failure":
        return [*found, skipped("attributes, workers, versions, clock", "the namespace is missing")]
    found += await look_at_attributes(client)
    found += await look_at_workers(client, settings)
    found.append(await look_at_version_in_use(client, settings))
    return [*found, await look_at_clock(client)]


async def look_at_version(client: "Client") -> Finding:
    """Say which server answers."""
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=_ASK)
    return well(
        "server",
        f"answers, version {info.server_version}",
        client.service_client.config.target_host,
    )


async def look_at_namespace(client: "Client") -> Finding:
    """Look whether the namespace is there, and say how long it keeps what has ended."""
    request = DescribeNamespaceRequest(namespace=client.namespace)
    try:
        answer = await client.workflow_service.describe_namespace(request, timeout=_ASK)
    except RPCError as error:
        why = "runs live in one"
        if error.status is not RPCStatusCode.NOT_FOUND:
            fix = "give the profile's identity the right to read the namespace"
            return warning("namespace", error.message, why, fix, client.namespace)
        made = f"temporal operator namespace create --namespace {client.namespace}"
        fix = f"`{made}`, or set TEMPORAL_NAMESPACE to one that exists"
        return failure("namespace", "it does not exist", why, fix, client.namespace)
    days = answer.config.workflow_execution_retention_ttl.seconds / 86400
    return well("namespace", f"keeps ended runs for {days:g} days", client.namespace)


async def look_at_attributes(client: "Client") -> list[Finding]:
    """Look whether our search attributes are registered, with the right types."""
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        answer = await client.operator_service.list_search_attributes(request, timeout=_ASK)
    except RPCError as error:
        return [skipped("attributes", f"they cannot be read here: {error.message}")]
    known = cast("dict[str, Any]", answer.custom_attributes)  # protobuf's own map type
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known]
    if not missing:
        return [well("attributes", f"all {len(SEARCH_ATTRIBUTES)} are registered")]
    why = "lists cannot be filtered by them, and the metrics of runs count nothing"
    options = " ".join(f"--name {n} --type {SEARCH_ATTRIBUTES[n]}" for n in missing)
    fix = f"`temporal operator search-attribute create {options}`, then start the workers again"
    return [warning("attributes", f"not registered: {', '.join(missing)}", why, fix)]


async def look_at_workers(client: "Client", settings: Settings) -> list[Finding]:
    """Look whether somebody polls each queue, and whether all are of one version."""
    queue = settings.task_queue
    found = [await _polled(client, queue, kind, "stdops worker") for kind in KINDS]
    for other in dict.fromkeys(settings.plugin_queues.values()):
        command = f"stdops worker --queue {other}"
        found += [await _polled(client, other, "activity", command)]
    versions = _versions(await pollers(client, queue, "workflow"))
    if len(versions) > 1:
        why = "runs move between them; fine during a release, not for longer"
        what = f"several versions poll {queue!r}: {', '.join(versions)}"
        found.append(warning("workers", what, why, "end the older ones; see docs/releases.md"))
    elif versions and versions != [__version__]:
        why = "this command line may check templates by other rules than the workers"
        what = f"the workers are {versions[0]}, this is {__version__}"
        found.append(warning("workers", what, why, "install the same version here"))
    return found


async def _polled(client: "Client", queue: str, kind: Kind, command: str) -> Finding:
    what = "runs" if kind == "workflow" else "steps of plugins"
    found = await pollers(client, queue, kind)
    if found:
        several = len({each.identity for each in found})
        return well("workers", f"{several} take {what} of queue {queue!r}")
    why = "runs stand still there until somebody does"
    fix = f"start one by `{command}`; a worker that has just started shows after some seconds"
    return failure("workers", f"nobody takes {what} of queue {queue!r}", why, fix)


async def look_at_version_in_use(client: "Client", settings: Settings) -> Finding:
    """Look which build of the deployment takes new runs."""
    from workers.deployment import current_build, promotion, version_of

    version = version_of(settings)
    if version is None:
        return skipped("versions", "workers are unversioned (STDOPS_DEPLOYMENT_NAME)")
    why = "versioned workers take new runs only as the current version"
    try:
        current = await current_build(client, version.deployment_name)
    except RPCError as error:
        fix = "a Temporal server with Worker Deployment Versioning is needed"
        return warning("versions", f"the server does not say: {error.message}", why, fix)
    if current == version.build_id:
        return well("versions", f"build {current!r} is current", version.deployment_name)
    if current is None:
        what = "no version is current, so no new run is taken"
        return failure("versions", what, why, f"`{promotion(version)}`", version.deployment_name)
    what = f"build {current!r} is current, this is {version.build_id!r}"
    fix = f"`{promotion(version)}` when this build shall take over; see docs/releases.md"
    return warning("versions", what, why, fix, version.deployment_name)


def _versions(found: Iterable[PollerInfo]) -> list[str]:
    """Return the versions of stdops that poll, from what they call themselves."""
    named = (_OURS.match(each.identity) for each in found)
    return sorted({match[1] for match in named if match})


async def look_at_clock(client: "Client") -> Finding:
    """Compare our clock with the server's, by a poll of our own that the server dates.

    The queue is one that nobody else uses, so that nothing can be handed to us.
    """
    queue = f"stdops-doctor-{secrets.token_hex(6)}"
    before = datetime.now(UTC)
    polling = asyncio.create_task(_poll(client, queue))
    try:
        dated = await _dated(client, queue)
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
    if dated is None:
        return skipped("clock", "the server does not say when it was asked")
    skew = skew_s(before, dated, datetime.now(UTC))
    if abs(skew) <= MOST_SKEW_S:
        return well("clock", f"within {MOST_SKEW_S:.0f} s of the server's")
    why = "time limits of callbacks and the times on pages mislead"
    what = f"is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the server's"
    return warning("clock", what, why, "let chrony or systemd-timesyncd set the clock here")


def skew_s(before: datetime, dated: datetime, after: datetime) -> float:
    """Return by how much the server is ahead of us, in seconds; 0 where the two may agree."""
    if dated < before:
        return (dated - before).total_seconds()
    return max(0.0, (dated - after).total_seconds())


async def _poll(client: "Client", queue: str) -> None:
    request = PollActivityTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), identity="stdops doctor"
    )
    await client.workflow_service.poll_activity_task_queue(request, timeout=_ASK)


async def _dated(client: "Client", queue: str) -> datetime | None:
    for _ in range(_SEEN):
        seen = await pollers(client, queue, "activity")
        if seen:
            return seen[0].last_access_time.ToDatetime(UTC)
        await asyncio.sleep(0.1)
    return None
