"""`bk_ci_build`: a build of a BK-CI pipeline, from its start to its end.

Source: BK-CI's open API v4, as its sources declare it (`ApigwBuildResourceV4`, `BuildStatus`):
`build_start`, `build_status` and `build_stop` of a project, behind the API gateway `devops`. There
is no idempotency key: a start whose answer is lost is "outcome unknown".
"""

from typing import Final
from urllib.parse import quote

from pydantic import Field, JsonValue

from activities.blueking.catalogue import SETTINGS, blueking
from activities.blueking.client import Json
from activities.blueking.config import BlueKingSettings
from activities.calls import Call, Inputs, Outputs, PluginError, StillRunning
from activities.sdk import plugin

LOOK_S: Final = 5.0
GOOD: Final = frozenset({"SUCCEED", "STAGE_SUCCESS", "SKIP"})
BAD: Final = frozenset(
    {
        "FAILED",
        "CANCELED",
        "TERMINATE",
        "REVIEW_ABORT",
        "HEARTBEAT_TIMEOUT",
        "UNEXEC",
        "QUALITY_CHECK_FAIL",
        "QUEUE_TIMEOUT",
        "EXEC_TIMEOUT",
        "QUOTA_FAILED",
    }
)
"""Where a build has ended badly; in every status that is neither it is under way."""

_NO_BUILD: Final = "BK-CI's answer names no build: look into the pipeline's history before a retry"


class BuildInputs(Inputs):
    """Which pipeline is built, and with what."""

    project_id: str = Field(min_length=1, description="The project's English name in BK-CI")
    pipeline_id: str = Field(min_length=1, description="The pipeline's id, such as `p-...`")
    variables: dict[str, str] = Field(
        default_factory=dict[str, str], description="Variables that the build starts with"
    )


class BuildOutputs(Outputs):
    """The build and how it has ended."""

    build_id: str = Field(description="The build's id, such as `b-...`")
    status: str = Field(default="", description="How it has ended, such as `SUCCEED`")


@plugin(
    "bk_ci_build",
    version="v1.0",
    name="Build a BK-CI pipeline",
    group="BK-CI",
    settings={SETTINGS: BlueKingSettings},
)
async def bk_ci_build(call: Call[BuildInputs]) -> BuildOutputs:
    """Start a build of a BK-CI pipeline and wait for its end."""
    given = call.inputs
    params: Json = dict(given.variables)
    found = await blueking(call).object("devops.build_start", params, **_place(given))
    build = found.get("id")
    if not isinstance(build, str) or not build:
        raise PluginError(_NO_BUILD)
    call.note(f"BK-CI {build}")
    raise StillRunning(build, after_s=LOOK_S, outputs={"build_id": build})


@bk_ci_build.poll
async def _(call: Call[BuildInputs], handle: JsonValue) -> BuildOutputs:
    """Look at the build."""
    build = str(handle)
    asked: Json = {"pipelineId": call.inputs.pipeline_id, "buildId": build}
    place = {"project": _quoted(call.inputs.project_id)}
    found = await blueking(call).object("devops.build_status", asked, **place)
    status = str(found.get("status") or "")
    if status in BAD:
        raise PluginError(f"build {build} has ended as {status}", outputs={"status": status})
    if status not in GOOD:
        call.progress(status=status)
        raise StillRunning(after_s=LOOK_S)
    return BuildOutputs(build_id=build, status=status)


@bk_ci_build.stop
async def _(call: Call[BuildInputs], handle: JsonValue) -> None:
    """Stop the build."""
    place = {**_place(call.inputs), "build": _quoted(str(handle))}
    await blueking(call).call("devops.build_stop", {}, **place)


def _place(given: BuildInputs) -> dict[str, str]:
    return {"project": _quoted(given.project_id), "pipeline": _quoted(given.pipeline_id)}


def _quoted(text: str) -> str:
    """Return a text as it may stand in an address, so that it cannot lead elsewhere."""
    return quote(text, safe="")
