"""`kubernetes_job`: runs a container to its end, as a Job of a Kubernetes cluster.

The Job's name follows from run, node and entry: a creation that is repeated finds the earlier Job,
so that none runs twice. Clusters and their namespaces stand in the workers' settings. When the node
is cancelled, the Job is deleted with its pods.
"""

import hashlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from activities.builtin.extras import missing
from activities.builtin.tails import Tail
from activities.sdk import Call, Inputs, Outputs, PluginError, StillRunning, plugin

Json: TypeAlias = dict[str, Any]

LONGEST_S: Final = 7 * 24 * 3600
MAX_LOG_BYTES: Final = 500_000

_REQUEST_S: Final = 30
_LOG_LINES: Final = 2000
_ALREADY_THERE: Final = 409
_NOT_FOUND: Final = 404
_BUSY: Final = 429
_BROKEN: Final = 500


class KubernetesCluster(BaseModel):
    """A cluster, and where in it Jobs may run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespaces: tuple[str, ...]
    kubeconfig: Path | None = None
    context: str = ""


class KubernetesSettings(BaseModel):
    """The table `[plugins.kubernetes_job]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clusters: dict[str, KubernetesCluster] = Field(
        default_factory=dict,
        description="Clusters by name: the `namespaces` that may be used, `kubeconfig` and its "
        "`context`; without a kubeconfig the cluster that the worker itself runs in",
    )


class KubernetesInputs(Inputs):
    """The container, what it gets, and where it runs."""

    cluster: str = Field(default="default", description="Name of a cluster in the settings")
    namespace: str = Field(default="default", min_length=1, description="Namespace of the Job")
    image: str = Field(min_length=1, description="Image of the container")
    command: list[str] = Field(
        default_factory=list[str],
        description="Command, as a list, or as text for `/bin/sh -c`; none is the image's own",
    )
    arguments: list[str] = Field(default_factory=list[str], description="Arguments of the command")
    environment: dict[str, str] = Field(
        default_factory=dict, description="Variables of its environment; readable in the cluster"
    )
    cpu: str = Field(default="", description="CPU that it asks for and is held to, such as `500m`")
    memory: str = Field(default="", description="Memory likewise, such as `256Mi`")
    service_account: str = Field(default="", description="Service account of the pod")
    tries: int = Field(default=1, ge=1, le=20, description="Pods that are started at most")
    timeout_s: int = Field(
        default=3600, ge=1, le=LONGEST_S, description="Seconds until the cluster ends it"
    )
    keep_s: int = Field(
        default=24 * 3600, ge=300, description="Seconds that the Job is kept after its end"
    )
    every_s: float = Field(default=5, ge=1, le=600, description="Seconds between two looks")
    max_log_bytes: int = Field(
        default=64 * 1024, ge=0, le=MAX_LOG_BYTES, description="How much of the log's end is kept"
    )

    @field_validator("command", mode="before")
    @classmethod
    def _for_a_shell(cls, command: Any) -> Any:  # Any: JSON enters here
        return ["/bin/sh", "-c", command] if isinstance(command, str) else command


class KubernetesOutputs(Outputs):
    """The Job, and how its last pod ended."""

    job: str = Field(description="Name of the Job")
    namespace: str = Field(description="Its namespace")
    pod: str = Field(default="", description="Its last pod")
    exit_code: int | None = Field(default=None, description="Exit code of the container")
    log: str = Field(default="", description="End of the container's log")


@plugin(
    "kubernetes_job",
    version="v1.0",
    name="Kubernetes Job",
    group="Core",
    idempotent=True,
    settings={"kubernetes_job": KubernetesSettings},
)
async def kubernetes_job(call: Call[KubernetesInputs]) -> KubernetesOutputs:
    """Run a container as a Job of a Kubernetes cluster; an exit code of 0 is a success.

    Needs `pip install 'stdops[kubernetes]'`.
    """
    name = job_name(call.key)
    async with _cluster(call) as cluster:
        try:
            await cluster.create(manifest(call.inputs, name, call.key))
        except _ApiError as error:
            if error.status != _ALREADY_THERE:
                raise error.told() from error
            call.log.info("activities.job_found", job=name)
    call.note(f"job {call.inputs.namespace}/{name}")
    raise StillRunning(name, call.inputs.every_s)


@kubernetes_job.poll
async def _(call: Call[KubernetesInputs], handle: JsonValue) -> KubernetesOutputs:
    name = str(handle)
    async with _cluster(call) as cluster:
        try:
            status: Json = (await cluster.read(name)).get("status") or {}
            pods = await cluster.pods(name)
            end = _end(status)
            if end is None:
                raise _going_on(call, name, status, pods)
            pod: Json = pods[-1] if pods else {}
            log = await cluster.log(_name(pod), call.inputs.max_log_bytes) if pod else ""
        except _ApiError as error:
            raise _gone(error, name) from error
    outputs = KubernetesOutputs(
        job=name,
        namespace=call.inputs.namespace,
        pod=_name(pod),
        exit_code=_exit_code(pod),
        log=log,
    )
    if end:
        raise PluginError(f"job {name} failed: {end}", outputs=outputs)
    return outputs


@kubernetes_job.stop
async def _(call: Call[KubernetesInputs], handle: JsonValue) -> None:
    async with _cluster(call) as cluster:
        try:
            await cluster.delete(str(handle))
        except _ApiError as error:
            if error.status != _NOT_FOUND:
                raise error.told() from error


def job_name(key: str) -> str:
    """Return the name of the Job of one execution of a node, by its key."""
    return f"stdops-{hashlib.sha256(key.encode()).hexdigest()[:24]}"


def manifest(given: KubernetesInputs, name: str, key: str) -> Json:
    """Return the Job as the cluster wants it."""
    container: Json = {
        "name": "main",
        "image": given.image,
        "env": [{"name": name, "value": value} for name, value in given.environment.items()],
    }
    if given.command:
        container["command"] = given.command
    if given.arguments:
        container["args"] = given.arguments
    sizes = {"cpu": given.cpu, "memory": given.memory}
    if held := {kind: size for kind, size in sizes.items() if size}:
        container["resources"] = {"requests": held, "limits": held}
    pod: Json = {"restartPolicy": "Never", "containers": [container]}
    if given.service_account:
        pod["serviceAccountName"] = given.service_account
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "stdops"},
            "annotations": {"stdops/key": key},
        },
        "spec": {
            "backoffLimit": given.tries - 1,
            "activeDeadlineSeconds": given.timeout_s,
            "ttlSecondsAfterFinished": given.keep_s,
            "template": {"spec": pod},
        },
    }


class _ApiError(Exception):
    """The cluster has refused a request."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    def told(self) -> PluginError:
        """Return it for people; every request here may be repeated."""
        again = self.status == _BUSY or self.status >= _BROKEN
        return PluginError(f"the cluster answered {self.status}: {self.reason}", retryable=again)


class _Cluster(NamedTuple):
    """The few requests that a Job needs, in one namespace; objects are JSON."""

    # Any: the library's clients are generated and hardly typed
    api: Any
    batch: Any
    core: Any
    namespace: str

    async def create(self, job: Json) -> None:
        await self._asked(self.batch.create_namespaced_job, self.namespace, job)

    async def read(self, name: str) -> Json:
        return await self._asked(self.batch.read_namespaced_job, name, self.namespace)

    async def delete(self, name: str) -> None:
        await self._asked(
            self.batch.delete_namespaced_job,
            name,
            self.namespace,
            propagation_policy="Background",
        )

    async def pods(self, name: str) -> list[Json]:
        """Return the pods of a Job, the last one last."""
        found = await self._asked(
            self.core.list_namespaced_pod, self.namespace, label_selector=f"job-name={name}"
        )
        items = cast("list[Json]", found.get("items") or [])
        return sorted(items, key=lambda pod: str(_under(pod, "metadata").get("creationTimestamp")))

    async def log(self, pod: str, max_bytes: int) -> str:
        """Return the end of a pod's log; "" where there is none any more."""
        try:
            text = await self._asked(
                self.core.read_namespaced_pod_log, pod, self.namespace, tail_lines=_LOG_LINES
            )
        except _ApiError:
            return ""
        tail = Tail(max_bytes)
        tail.add(str(text).encode())
        return tail.text()

    async def _asked(self, request: Any, *arguments: Any, **more: Any) -> Any:
        from aiohttp import ClientError
        from kubernetes_asyncio.client import ApiException

        try:
            answer = await request(*arguments, _request_timeout=_REQUEST_S, **more)
        except ApiException as error:
            raise _ApiError(int(error.status or 0), _reason(error)) from error
        except (ClientError, OSError) as error:
            raise PluginError(f"no answer of the cluster: {error}", retryable=True) from error
        return self.api.sanitize_for_serialization(answer)


@asynccontextmanager
async def _cluster(call: Call[KubernetesInputs]) -> AsyncGenerator[_Cluster, None]:
    known = _known(call)
    try:
        from kubernetes_asyncio import client
    except ImportError as error:
        raise missing("kubernetes_job", "kubernetes", error) from error
    # the library's own part is hardly typed
    library: Any = client
    async with library.ApiClient(await _configuration(known, call.inputs.cluster)) as api:
        yield _Cluster(api, library.BatchV1Api(api), library.CoreV1Api(api), call.inputs.namespace)


def _known(call: Call[KubernetesInputs]) -> KubernetesCluster:
    given, place = call.inputs, "[plugins.kubernetes_job] of the workers' settings"
    clusters = call.shelf.settings("kubernetes_job", KubernetesSettings).clusters
    found = clusters.get(given.cluster)
    if found is None:
        known = ", ".join(sorted(clusters)) or "none"
        raise PluginError(
            f"the workers have no cluster {given.cluster!r}; they have: {known} "
            f"(clusters in {place})"
        )
    if given.namespace not in found.namespaces:
        allowed = ", ".join(found.namespaces) or "none"
        raise PluginError(
            f"namespace {given.namespace!r} may not be used; allowed: {allowed} "
            f"(namespaces of cluster {given.cluster!r} in {place})"
        )
    return found


async def _configuration(known: KubernetesCluster, name: str) -> Any:
    from kubernetes_asyncio import client, config

    found: Any = client.Configuration()
    library: Any = config
    try:
        if known.kubeconfig is None:
            library.load_incluster_config(client_configuration=found)
        else:
            await library.load_kube_config(
                config_file=str(known.kubeconfig),
                context=known.context or None,
                client_configuration=found,
                persist_config=False,
            )
    except (library.ConfigException, OSError) as error:
        raise PluginError(f"cluster {name!r} of [plugins.kubernetes_job]: {error}") from error
    return found


def _end(status: Mapping[str, Any]) -> str | None:
    """Return "" for a Job that ended well, why it failed, or None while it goes on."""
    for condition in cast("list[Json]", status.get("conditions") or []):
        if condition.get("status") != "True":
            continue
        if condition.get("type") == "Complete":
            return ""
        if condition.get("type") == "Failed":
            parts = (condition.get("reason"), condition.get("message"))
            return ": ".join(str(part) for part in parts if part) or "no reason given"
    return None


def _going_on(
    call: Call[KubernetesInputs], name: str, status: Mapping[str, Any], pods: Sequence[Json]
) -> StillRunning:
    """Return another look; the note says what a pod waits for, such as its image."""
    why = _waits_for(pods[-1]) if pods else "no pod yet"
    call.progress(active=status.get("active") or 0, failed=status.get("failed") or 0, waits_for=why)
    call.note(f"job {call.inputs.namespace}/{name}{f': {why}' if why else ''}")
    return StillRunning(after_s=call.inputs.every_s)


def _waits_for(pod: Json) -> str:
    waiting = _under(_container(pod), "state", "waiting")
    return str(waiting.get("reason") or "")


def _exit_code(pod: Json) -> int | None:
    return _under(_container(pod), "state", "terminated").get("exitCode")


def _container(pod: Json) -> Json:
    found = cast("list[Json]", _under(pod, "status").get("containerStatuses") or [])
    return found[0] if found else {}


def _name(pod: Json) -> str:
    return str(_under(pod, "metadata").get("name") or "")


def _under(held: Json, *path: str) -> Json:
    for part in path:
        held = held.get(part) or {}
    return held


def _gone(error: _ApiError, name: str) -> PluginError:
    if error.status != _NOT_FOUND:
        return error.told()
    return PluginError(
        f"job {name} is gone: it was deleted in the cluster before its end was seen; how it "
        "ended is unknown: look there, then retry or skip"
    )


def _reason(error: Any) -> str:
    """Return the cluster's own sentence, where it gave one."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)
