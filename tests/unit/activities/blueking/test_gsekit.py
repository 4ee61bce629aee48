"""GSEKit: processes read anew, and commands followed to their end."""

import pytest
from pydantic import JsonValue

from activities.blueking.gsekit import COMMAND, FLUSH, LOOK_S
from activities.contract import Done, Failed
from activities.steps import TryAgain
from tests.helpers.systems_platform import (
    Json,
    Reply,
    Systems,
    Turns,
    begun,
    denial,
    lost,
    on_stage,
    refusal,
)

FORM: Json = {
    "biz_cc_id": "5",
    "gsekit_bk_env": "3",
    "gsekit_job_object_choices": "CONFIGFILE",
    "gsekit_job_action_choices": "restart",
    "gsekit_set": "*",
    "gsekit_module": "web",
    "gsekit_service_id": "*",
    "gsekit_process_name": "nginx",
    "gsekit_process_id": "*",
    "gsekit_config_template": [8],
}
PAGE = "https://gsekit.test/task-history/detail/9?biz=5"
KNOWN: Json = {"gsekit_task_id": 9, "gsekit_task_page_url": PAGE}


def gsekit(*states: str) -> Systems:
    looks: list[Reply] = [{"job_info": {"status": state}} for state in states]
    return Systems({"gsekit.job/create_job": {"job_id": 9}, "gsekit.job/job_status": Turns(looks)})


async def test_processes_are_read_anew() -> None:
    systems = Systems({})
    async with on_stage(systems) as stage:
        outcome = await stage.run(FLUSH, {})

    assert outcome == Done()
    assert systems.asked[0] == ("gsekit.process/flush_process", {"bk_biz_id": 2})
    assert systems.paths == ["/gsekit/api/process/flush_process/"]


@pytest.mark.parametrize("action", ["restart", "start", "set_auto"])
async def test_a_command_runs_on_processes(action: str) -> None:
    systems = gsekit("pending", "running", "succeeded")
    async with on_stage(systems) as stage:
        outcome = await stage.run(COMMAND, {**FORM, "gsekit_job_action_choices": action})

    assert outcome == Done(outputs=KNOWN)
    assert stage.elapsed_s == 3 * LOOK_S
    assert systems.params_of("gsekit.job/create_job") == [
        {
            "bk_biz_id": 5,
            "job_object": "process",
            "job_action": action,
            "expression_scope": {
                "bk_set_env": "3",
                "bk_set_name": "*",
                "bk_module_name": "web",
                "service_instance_name": "*",
                "bk_process_name": "nginx",
                "bk_process_id": "*",
            },
        }
    ]
    assert systems.params_of("gsekit.job/job_status") == [{"bk_biz_id": 5, "job_id": 9}] * 3


@pytest.mark.parametrize("action", ["generate", "release", "diff"])
async def test_some_commands_run_on_configuration_files(action: str) -> None:
    systems = gsekit("succeeded")
    async with on_stage(systems) as stage:
        started = await begun(stage, COMMAND, {**FORM, "gsekit_job_action_choices": action})

    sent = systems.asked[0].params
    assert (sent["job_object"], sent["extra_data"]) == (
        "configfile",
        {"config_template_ids": [8]},
    )
    assert (started.handle, started.outputs, started.note) == (9, KNOWN, "GSEKit 9")


@pytest.mark.parametrize("state", ["failed", "strange"])
async def test_a_command_that_ends_otherwise_fails(state: str) -> None:
    async with on_stage(gsekit(state)) as stage:
        outcome = await stage.run(COMMAND, FORM)

    assert outcome == Failed(error=f"Gsekit任务执行异常, 任务状态为 {state}", outputs=KNOWN)


@pytest.mark.parametrize(
    ("name", "form"), [("gsekit.job/create_job", FORM), ("gsekit.process/flush_process", {})]
)
@pytest.mark.parametrize(
    ("reply", "error"),
    [(refusal("nope"), "返回失败, error=nope"), (denial(), "无权限 (use x)")],
    ids=["refused", "denied"],
)
async def test_a_refusal_fails_the_node(name: str, form: Json, reply: Reply, error: str) -> None:
    plugin = COMMAND if form else FLUSH
    async with on_stage(Systems({name: reply})) as stage:
        outcome = await stage.run(plugin, form)

    assert isinstance(outcome, Failed)
    assert f"调用GSEKit(GSEKit)接口{name}{error}" in outcome.error


async def test_a_refused_look_fails_the_node() -> None:
    async with on_stage(Systems({"gsekit.job/job_status": refusal()})) as stage:
        result = await stage.poll(COMMAND, FORM, 9, KNOWN)

    assert isinstance(result, Failed)
    assert result.outputs == KNOWN


@pytest.mark.parametrize("data", [None, {"job_id": 0}])
async def test_an_answer_without_a_job_fails_the_node(data: JsonValue) -> None:
    async with on_stage(Systems({"gsekit.job/create_job": data})) as stage:
        outcome = await stage.run(COMMAND, FORM)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("GSEKit has started nothing")


async def test_only_what_is_safe_is_repeated_when_an_answer_is_lost() -> None:
    replies: dict[str, Reply | Turns] = {
        "gsekit.job/create_job": lost(),
        "gsekit.job/job_status": lost(),
        "gsekit.process/flush_process": lost(),
    }
    async with on_stage(Systems(replies)) as stage:
        started = await stage.call(COMMAND, FORM)
        looked = await stage.poll(COMMAND, FORM, 9)
        flushed = await stage.call(FLUSH, {})

    assert isinstance(started, Failed)
    assert started.error.startswith("outcome unknown")
    assert "look at the task history of business 5 in GSEKit" in started.error
    assert isinstance(looked, TryAgain)
    assert isinstance(flushed, TryAgain)
