"""BK-BCS: Helm releases of clusters, upgraded over time. Answers as its gateway's documents say."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Handler, RefusedError
from workers.fake_blueking.services import status_of
from workers.fake_blueking.world import Release, Work, World

_PLACE: Final = (
    r"/gateway/bcs-api-gateway/prod/helmmanager/v1/projects/(?P<projectCode>[^/]+)"
    r"/clusters/(?P<clusterID>[^/]+)/namespaces/(?P<namespace>[^/]+)/releases/(?P<name>[^/]+)"
)
_STATES: Final = {
    "pending": "pending-upgrade",
    "running": "pending-upgrade",
    "succeeded": "deployed",
    "failed": "failed-upgrade",
}


def get_release_detail(world: World, asked: Asked) -> JsonValue:
    """Return a release and how it stands."""
    release = _release(world, asked)
    state = "succeeded" if release.work is None else status_of(world, release.work)
    revision = release.revision + int(release.work is not None and state == "succeeded")
    changed_at = release.updated_at if release.work is None else release.work.started_at
    return {
        "name": release.name,
        "namespace": release.namespace,
        "revision": revision,
        "status": _STATES[state],
        "chart": release.chart,
        "appVersion": release.version,
        "chartVersion": release.version,
        "updateTime": datetime.fromtimestamp(changed_at, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "values": [*release.values],
        "args": [],
        "description": "",
        "notes": "",
        "createBy": "admin",
        "updateBy": "admin",
        "message": "no such chart version" if state == "failed" else "",
        "repo": asked.text("projectCode"),
    }


def upgrade_release(world: World, asked: Asked) -> JsonValue:
    """Begin an upgrade; one to a version `0.0.0` fails, and nothing is answered but that it is."""
    release, body = _release(world, asked), asked.part("body")
    for key in ("repository", "chart", "version"):
        body.text(key)
    release.chart, release.version = body.text("chart"), body.text("version")
    release.values = tuple(str(each) for each in body.items("values", []))
    body.items("args", [])
    good = release.version != "0.0.0"
    release.work = Work(world.new_id(), "helm", world.clock(), good)
    return None


def _release(world: World, asked: Asked) -> Release:
    name, namespace = asked.text("name"), asked.text("namespace")
    found = world.releases.get(f"{namespace}/{name}")
    if found is None:
        raise RefusedError(f"release: {name!r} not found in namespace {namespace!r}")
    return found


PLACED: Final[Mapping[str, Handler]] = {
    f"GET {_PLACE}": get_release_detail,
    f"PUT {_PLACE}": upgrade_release,
}
"""Those whose address has parameters: by a pattern of method and path."""
