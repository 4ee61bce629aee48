"""Worker Deployment Versioning: which version of a deployment a worker is, and which is current.

Without a deployment's name workers are unversioned: whoever polls the queue takes any run.
"""

from datetime import timedelta
from typing import Final

import structlog
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from stdops import __version__
from workers.settings import Settings

_ASK_S: Final = timedelta(seconds=10)
_BEHAVIORS: Final = {
    "auto_upgrade": VersioningBehavior.AUTO_UPGRADE,
    "pinned": VersioningBehavior.PINNED,
}


def version_of(settings: Settings) -> WorkerDeploymentVersion | None:
    """Return the version that a worker of these settings is; None where it is unversioned."""
    if not settings.deployment_name:
        return None
    return WorkerDeploymentVersion(settings.deployment_name, settings.build_id or __version__)


def deployment_config(settings: Settings) -> WorkerDeploymentConfig | None:
    """Return what the SDK's worker is told of versions; None where it is unversioned."""
    version = version_of(settings)
    if version is None:
        return None
    return WorkerDeploymentConfig(
        version=version,
        use_worker_versioning=True,
        default_versioning_behavior=_BEHAVIORS[settings.versioning],
    )


async def current_build(client: Client, deployment: str) -> str | None:
    """Return the build that takes new runs of a deployment; None where none does.

    Raises:
        RPCError: the server does not say.
    """
    request = DescribeWorkerDeploymentRequest(
        namespace=client.namespace, deployment_name=deployment
    )
    try:
        answer = await client.workflow_service.describe_worker_deployment(request, timeout=_ASK_S)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    info: WorkerDeploymentInfo = answer.worker_deployment_info
    routing = info.routing_config
    if routing.HasField("current_deployment_version"):
        return routing.current_deployment_version.build_id
    return None


def promotion(version: WorkerDeploymentVersion) -> str:
    """Return the command by which a version becomes the one that takes new runs."""
    return (
        "temporal worker deployment set-current-version "
        f"--deployment-name {version.deployment_name} --build-id {version.build_id}"
    )


async def tell_version(client: Client, settings: Settings) -> None:
    """Log which version the worker is, and how it becomes current where it is not."""
    version = version_of(settings)
    if version is None:
        return
    log = structlog.get_logger(__name__)
    try:
        current = await current_build(client, version.deployment_name)
    except RPCError as error:
        log.warning("workers.version_unknown", reason=error.message)
        return
    facts = {
        "deployment": version.deployment_name,
        "build": version.build_id,
        "current": current or "none",
        "versioning": settings.versioning,
    }
    if current == version.build_id:
        log.info("workers.version_current", **facts)
    else:
        log.warning("workers.version_not_current", **facts, fix=f"`{promotion(version)}`")
