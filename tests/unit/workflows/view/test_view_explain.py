import pytest
from pydantic import JsonValue

from activities.contract import Polling
from tests.helpers.plans import plan
from tests.helpers.runs import Run
from workflows.machine.view import Explanation, explain
from workflows.machine.view.explain import Holder
from workflows.machine.view.outside import Outside, outside_of


def explained(run: Run, run_id: str = "r 1") -> Explanation:
    return explain(run.plan, run.state, run.now + 60, run.settings, run_id)


def holders(found: Explanation) -> dict[str, Holder]:
    return {holder.path: holder for holder in found.holders}


@pytest.mark.parametrize(
    ("handle", "outputs", "told"),
    [
        ({"url": "https://job/7", "id": 7}, {}, Outside("https://job/7", "7")),
        ({"job": 7}, {"job_inst_id": 7}, Outside("", "7")),
        (None, {"job_inst_url": "http://job/7", "a_url": "http://a"}, Outside("http://job/7", "")),
        (None, {"text": "x", "my_url": "http://a", "my_inst_id": "9"}, Outside("http://a", "9")),
        (None, {"task_id": "t/1", "task_url": "http://t"}, Outside("http://t", "t/1")),
        (None, {"a_url": "javascript:alert(1)", "task_id": True}, Outside()),
        ("secret", {"a_url": {"sealed": 1}}, Outside()),
        ({"url": ["x"], "id": "y" * 400}, {}, Outside()),
    ],
)
def test_the_work_outside_is_told_by_names(
    handle: JsonValue, outputs: dict[str, JsonValue], told: Outside
) -> None:
    assert outside_of(handle, outputs) == told


def test_a_failed_node_comes_with_the_commands_that_move_it() -> None:
    run = Run(plan("start a end"))
    run.lose("a", "no such host")

    holder = holders(explained(run))["a"]

    assert (holder.reason, holder.attempt, holder.entry) == ("no such host", 1, 1)
    assert holder.commands == ("stdops retry 'r 1' a", "stdops skip 'r 1' a")


def test_a_node_that_polls_tells_of_its_work_outside() -> None:
    run = Run(plan("start a end"))
    run.answer("a", Polling(handle={"id": 20031, "url": "https://job/20031"}, after_s=5))

    holder = holders(explained(run))["a"]

    assert (holder.work, holder.url, holder.phase) == ("20031", "https://job/20031", "polling")
    assert holder.waits_for == "outside work, looked at every 5 s"
    assert holder.commands == ("stdops force-fail 'r 1' a",)


def test_a_converge_that_waits_names_the_branches_still_to_come() -> None:
    run = Run(plan("start fork a join end", "fork b join", "fork c join"))
    assert "join" not in holders(explained(run))

    run.answer("a")
    join = holders(explained(run))["join"]

    assert (join.look, join.phase) == ("waiting", "joining")
    assert join.waits_for == "2 other branches, at 'B' (b), 'C' (c)"

    run.answer("b")
    assert holders(explained(run))["join"].waits_for == "another branch, at 'C' (c)"


def test_a_paused_run_says_who_paused_it_and_why() -> None:
    run = Run(plan("start a b end"))
    run.do("pause", operator="ann", reason="lunch")

    found = explained(run)

    assert "It was paused by ann 1 min ago (lunch); released by resume." in found.text


def test_a_node_that_a_pause_holds_is_released_by_a_resume_of_the_run() -> None:
    run = Run(plan("start a b end"))
    run.do("pause")
    run.answer("a")

    assert holders(explained(run))["b"].commands == ("stdops resume 'r 1'",)


def test_a_node_that_is_held_itself_is_released_by_its_own_verb() -> None:
    run = Run(plan("start a b end"))
    run.do("pause_node", "b")
    run.answer("a")

    assert holders(explained(run))["b"].commands == ("stdops resume-node 'r 1' b",)


def test_a_failed_gateway_is_sent_on_along_one_of_its_edges() -> None:
    no_way = {"xor-a": "1 == 2", "xor-b": "1 == 2"}
    run = Run(plan("start xor a end", "xor b end", conditions=no_way))

    gateway = holders(explained(run))["xor"]

    assert gateway.commands[-1] == "stdops choose 'r 1' xor xor-a"


def test_a_plugin_s_own_queue_is_told() -> None:
    shape = plan("start a end")
    run = Run(shape)
    known = run.settings.traits.items()
    routed = {name: each.model_copy(update={"queue": "zone-b"}) for name, each in known}
    settings = run.settings.model_copy(update={"traits": routed})

    found = explain(shape, run.state, run.now, settings, "r")

    assert holders(found)["a"].queue == "zone-b"
