"""What JOB keeps: scripts, crons, credentials, file sources. Answers as its documents say."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Handler, RefusedError
from workers.fake_blueking.targets import job_page, plan_of, scope_of
from workers.fake_blueking.world import World

_CRON_FIELDS: Final = 5


def get_script_list(world: World, asked: Asked) -> JsonValue:
    """Return the scripts of a business whose name holds a text."""
    scope = scope_of(world, asked)
    return _script_page(world, asked, int(str(scope["bk_scope_id"])))


def get_public_script_list(world: World, asked: Asked) -> JsonValue:
    """Return the public scripts whose name holds a text."""
    return _script_page(world, asked, 0)


def save_cron(world: World, asked: Asked) -> JsonValue:
    """Keep a cron of a plan; it is paused."""
    scope = scope_of(world, asked)
    plan = plan_of(world, asked, scope)
    expression = asked.text("expression")
    if len(expression.split()) != _CRON_FIELDS:
        asked.refuse("expression", "must have five fields")
    number = world.new_id()
    world.crons[number] = {
        **scope,
        "id": number,
        "job_plan_id": plan.id,
        "name": asked.text("name"),
        "expression": expression,
        "status": 2,
        "creator": asked.user,
    }
    return {**world.crons[number]}


def update_cron_status(world: World, asked: Asked) -> JsonValue:
    """Start (1) or pause (2) a cron."""
    scope_of(world, asked)
    number = asked.integer("id")
    status = asked.one_of("status", (1, 2))
    if number not in world.crons:
        raise RefusedError(f"定时任务不存在, there is no cron {number}")
    world.crons[number]["status"] = status
    return {"id": number, "status": status}


def create_credential(world: World, asked: Asked) -> JsonValue:
    """Keep a credential."""
    scope_of(world, asked)
    asked.text("name")
    asked.one_of("type", ("USERNAME_PASSWORD", "APP_ID_SECRET_KEY", "PASSWORD", "SECRET_KEY"))
    return {"id": f"credential-{world.new_id()}"}


def create_file_source(world: World, asked: Asked) -> JsonValue:
    """Keep a file source."""
    scope_of(world, asked)
    code = asked.text("code")
    asked.one_of("type", ("BLUEKING_ARTIFACTORY",))
    asked.text("credential_id")
    if code in world.file_sources:
        raise RefusedError(f"文件源标识已存在, there is a file source {code!r}")
    world.file_sources[code] = world.new_id()
    return {"id": world.file_sources[code]}


def _script_page(world: World, asked: Asked, business: int) -> JsonValue:
    name = asked.text("name", "") if asked.has("name") else ""
    found: list[JsonValue] = [
        {
            "id": script.id,
            "name": script.name,
            "script_language": 1,
            "online_script_version_id": script.version_id,
            "last_modify_time": int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()),
        }
        for script in world.scripts.values()
        if script.business == business and name in script.name
    ]
    return job_page(asked, found)


APIS: Final[Mapping[str, Handler]] = {
    "POST /jobv3/create_credential/": create_credential,
    "POST /jobv3/create_file_source/": create_file_source,
    "GET /jobv3/get_public_script_list/": get_public_script_list,
    "GET /jobv3/get_script_list/": get_script_list,
    "POST /jobv3/save_cron/": save_cron,
    "POST /jobv3/update_cron_status/": update_cron_status,
}
