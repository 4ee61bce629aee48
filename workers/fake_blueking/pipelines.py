"""BK-CI and BK-LOG: builds of pipelines, and logs that are searched. Answers as their APIs declare.

Source: BK-CI's open API v4 (`ApigwBuildResourceV4`) and BK-LOG's API document `esquery_search`.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Handler, Json, RefusedError
from workers.fake_blueking.services import status_of, work_of
from workers.fake_blueking.world import Work, World

_PROJECTS: Final = r"/gateway/devops/prod/v4/apigw-app/projects/(?P<projectId>[^/]+)"
_STATES: Final = {
    "pending": "QUEUE",
    "running": "RUNNING",
    "succeeded": "SUCCEED",
    "failed": "FAILED",
}
_PREFIX: Final = "b-"
_MOST_LINES: Final = 10000


def build_start(world: World, asked: Asked) -> JsonValue:
    """Start a build; it fails where its variable `result` says so."""
    pipeline = asked.text("pipelineId")
    variables = asked.part("body", {"": None}).fields
    details: Json = {
        "project": asked.text("projectId"),
        "pipeline": pipeline,
        "variables": {**variables},
    }
    good = variables.get("result") != "failure"
    work = Work(world.new_id(), "devops", world.clock(), good, details)
    world.works[work.id] = work
    return {
        "id": f"{_PREFIX}{work.id}",
        "executeCount": 1,
        "projectId": asked.text("projectId"),
        "pipelineId": pipeline,
        "num": len([each for each in world.works.values() if each.kind == "devops"]),
    }


def build_status(world: World, asked: Asked) -> JsonValue:
    """Return how a build stands."""
    work = _build(world, asked)
    return {
        "id": f"{_PREFIX}{work.id}",
        "pipelineId": asked.text("pipelineId"),
        "status": _STATES[status_of(world, work)],
        "startTime": int(work.started_at * 1000),
        "userId": asked.user,
        "trigger": "SERVICE",
        "variables": work.details.get("variables"),
    }


def build_stop(world: World, asked: Asked) -> JsonValue:
    """Stop a build, which then counts as failed."""
    _build(world, asked).ends_well = False
    return True


def esquery_search(world: World, asked: Asked) -> JsonValue:
    """Return the lines of an index that hold a text; `*` is any."""
    index, wanted = asked.text("indices"), asked.text("query_string", "*")
    size = asked.integer("size", 10)
    if not 0 <= size <= _MOST_LINES:
        asked.refuse("size", f"must be between 0 and {_MOST_LINES}")
    if index not in world.logs:
        raise RefusedError(f"there is no index {index!r}", 3600001)
    found = [line for line in world.logs[index] if wanted in ("*", "") or wanted in line]
    hits: list[JsonValue] = [
        {"_index": index, "_type": "_doc", "_id": str(at), "_source": {"log": line}}
        for at, line in enumerate(found[:size])
    ]
    return {
        "took": 1,
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {"total": len(found), "max_score": None, "hits": hits},
    }


def _build(world: World, asked: Asked) -> Work:
    """Return a build of a pipeline.

    Raises:
        RefusedError: the pipeline has none of that id.
    """
    name = asked.text("buildId")
    number = name.removeprefix(_PREFIX)
    if not number.isdecimal():
        raise RefusedError(f"there is no build {name!r}")
    work = work_of(world, int(number), "devops")
    if work.details.get("pipeline") != asked.text("pipelineId"):
        raise RefusedError(f"there is no build {name!r}")
    return work


APIS: Final[Mapping[str, Handler]] = {"POST /bk_log/esquery_search/": esquery_search}

PLACED: Final[Mapping[str, Handler]] = {
    f"POST {_PROJECTS}/build_start": build_start,
    f"GET {_PROJECTS}/build_status": build_status,
    f"POST {_PROJECTS}/build_stop": build_stop,
}
"""Those whose address has parameters: by a pattern of method and path."""
