"""`bk_bcs_helm_upgrade`: a Helm release in a cluster of BK-BCS, upgraded and watched to its end.

Source: BK-BCS's documents of its gateway `bcs-api-gateway`: `upgrade_release`, which answers before
the work is done, and `get_release_detail`, whose table says what each state means. The release is
read before it is changed, so that its state from before is not taken for the end.
"""

from typing import Final
from urllib.parse import quote

from pydantic import Field, JsonValue

from activities.blueking.catalogue import SETTINGS, blueking
from activities.blueking.client import Json, as_object
from activities.blueking.config import BlueKingSettings
from activities.blueking.outcomes import looked_up_at
from activities.calls import Call, Inputs, Outputs, PluginError, StillRunning
from activities.sdk import plugin

LOOK_S: Final = 5.0
DEPLOYED: Final = "deployed"
UNDER_WAY: Final = frozenset({"pending-install", "pending-upgrade", "pending-rollback"})
"""States in which something goes on; every other one but `deployed` is a bad end."""

_DETAIL: Final = "bcs-api-gateway.get_release_detail"


class UpgradeInputs(Inputs):
    """Which release is upgraded, and to what."""

    project_code: str = Field(min_length=1, description="The project's English name in BK-BCS")
    cluster_id: str = Field(min_length=1, description="The cluster, such as `BCS-K8S-00000`")
    namespace: str = Field(min_length=1, description="The namespace of the release")
    release: str = Field(min_length=1, description="The release's name")
    repository: str = Field(min_length=1, description="The repository that has the chart")
    chart: str = Field(min_length=1, description="The chart's name")
    version: str = Field(min_length=1, description="The chart's version")
    values: list[str] = Field(
        default_factory=list[str], description="Values as YAML texts; later ones win"
    )
    args: list[str] = Field(
        default_factory=list[str], description="Helm's arguments, such as `--timeout=600s`"
    )


class UpgradeOutputs(Outputs):
    """How the release stands."""

    revision: int = Field(description="The release's revision")
    status: str = Field(description="How the upgrade has ended, such as `deployed`")


@plugin(
    "bk_bcs_helm_upgrade",
    version="v1.0",
    name="Upgrade a Helm release by BK-BCS",
    group="BK-BCS",
    settings={SETTINGS: BlueKingSettings},
)
async def bk_bcs_helm_upgrade(call: Call[UpgradeInputs]) -> UpgradeOutputs:
    """Upgrade a Helm release in a cluster of BK-BCS and wait for the end of the upgrade."""
    bk, given = blueking(call), call.inputs
    before = _stamp(await bk.object(_DETAIL, {}, **_place(given)))
    wanted: Json = {
        "repository": given.repository,
        "chart": given.chart,
        "version": given.version,
        "values": [*given.values],
        "args": [*given.args],
    }
    with looked_up_at(f"release {given.release} in namespace {given.namespace} in BK-BCS"):
        await bk.call("bcs-api-gateway.upgrade_release", wanted, **_place(given))
    call.note(f"BCS {given.release} {given.version}")
    raise StillRunning(before, after_s=LOOK_S)


@bk_bcs_helm_upgrade.poll
async def _(call: Call[UpgradeInputs], handle: JsonValue) -> UpgradeOutputs:
    """Look at the release; while it stands as before, the upgrade has not begun."""
    found = await blueking(call).object(_DETAIL, {}, **_place(call.inputs))
    status = str(found.get("status") or "")
    if status in UNDER_WAY or _stamp(found) == as_object(handle):
        call.progress(status=status)
        raise StillRunning(after_s=LOOK_S)
    revision = found.get("revision")
    if status != DEPLOYED or not isinstance(revision, int):
        text = f"release {call.inputs.release} has ended as {status}: {found.get('message')}"
        raise PluginError(text, outputs={"revision": revision, "status": status})
    return UpgradeOutputs(revision=revision, status=status)


def _stamp(found: Json) -> Json:
    """Return what changes with each upgrade."""
    return {key: found.get(key) for key in ("revision", "updateTime")}


def _place(given: UpgradeInputs) -> dict[str, str]:
    """Return where the release is, each name as it may stand in an address."""
    names = {
        "project": given.project_code,
        "cluster": given.cluster_id,
        "namespace": given.namespace,
        "release": given.release,
    }
    return {key: quote(name, safe="") for key, name in names.items()}
