from dataclasses import replace
from typing import Any

import pytest

from workers.inspection.explanation import Told, doing_text, join, queues_of, read_view
from workers.inspection.facts import Ending, Facts, Pending, Pollers, ServerPause
from workflows.machine.view import Explanation, Holder

NOW = 10_000.0
HERE = Pollers(1, NOW - 5)
FACTS = Facts("r-1", "run-id", "running", "stdops", NOW - 600, workflow_pollers=HERE)
POLL = Pending(
    "sub/a:2:poll7",
    "job_execute",
    "sub/a",
    2,
    "poll",
    "zone-b",
    "scheduled",
    attempt=4,
    scheduled=NOW - 60,
    next_at=NOW + 3,
    looks=3,
    progress={"done": "3/5"},
    url="https://job/7",
    work="7",
)
VIEW = Explanation(
    text="The run is running.",
    holders=(
        Holder(
            path="sub",
            name="Sub",
            look="running",
            inside=(Holder(path="sub/a", name="A", look="running", entry=2, queue="zone-b"),),
        ),
    ),
)


def told(view: Explanation | None = VIEW, silence: str = "", **facts: Any) -> Told:
    return join(replace(FACTS, **facts), view, silence, NOW)


def whats(found: Told) -> list[str]:
    return [problem.what for problem in found.problems]


def test_an_activity_joins_its_node_by_path_and_entry() -> None:
    found = told(pending=(POLL,), activity_pollers={"zone-b": HERE})

    held = found.holders[0].inside[0]

    assert (held.node.url, held.node.work) == ("https://job/7", "7")
    assert held.activity is not None
    assert doing_text(held.activity, NOW) == "looked 3 times; next look in 3 s; done 3/5"
    assert found.problems == ()


def test_an_activity_of_an_earlier_start_tells_nothing_of_this_one() -> None:
    found = told(pending=(replace(POLL, entry=1),))

    assert found.holders[0].inside[0].activity is None


def test_a_call_that_is_tried_again_says_how_often_and_why() -> None:
    call = replace(
        POLL, step="call", progress={}, looks=0, failure="no connection", next_at=NOW + 8
    )

    held = told(pending=(call,)).holders[0].inside[0]

    assert held.activity is not None
    text = "waits for a worker; attempt 4; next try in 8 s; last failure: no connection"
    assert doing_text(held.activity, NOW) == text


def test_without_a_worker_the_server_alone_tells() -> None:
    gone = Pollers(0, NOW - 180)

    found = told(None, "no worker polls its queue", workflow_pollers=gone, pending=(POLL,))

    assert whats(found) == [
        "no worker polls the run's queue 'stdops' (one was last seen 3 min ago)"
    ]
    assert "it cannot say itself what holds it: no worker polls its queue" in found.text
    assert [held.node.path for held in found.holders] == ["sub/a"]
    assert found.holders[0].activity is not None


def test_a_worker_that_does_not_answer_is_told_apart_from_none() -> None:
    found = told(None, "no worker answered in time")

    what = (
        "a worker asked for work 5 s ago, but the run does not answer: no worker answered in time"
    )
    assert whats(found) == [what]


def test_a_plugin_queue_without_a_worker_names_the_nodes_that_wait() -> None:
    found = told(pending=(POLL,), activity_pollers={"zone-b": Pollers()})

    assert whats(found) == ["no worker polls the plugins' queue 'zone-b'; sub/a waits"]
    assert "stdops worker --queue zone-b" in found.problems[0].fix


def test_the_server_s_own_pause_is_not_ours() -> None:
    found = told(
        None, "it is paused", status="paused", pause=ServerPause("bob@host", "incident", NOW - 120)
    )

    (problem,) = found.problems
    assert "the Temporal server itself has paused the run" in problem.what
    assert "bob@host (incident), 2 min ago" in problem.what
    assert "temporal workflow unpause --workflow-id r-1" in problem.fix


def test_a_workflow_task_that_fails_again_and_again_is_told_with_its_failure() -> None:
    found = told(None, "the run cannot answer", task_attempt=5, task_failure="[TMPRL1100] no match")

    assert "(attempt 5): [TMPRL1100] no match" in whats(found)[1]


def test_an_activity_that_the_server_has_paused_is_told() -> None:
    found = told(pending=(replace(POLL, state="paused"),), activity_pollers={"zone-b": HERE})

    assert "temporal activity unpause --workflow-id r-1 --activity-id sub/a:2:poll7" in (
        found.problems[0].fix
    )


def test_a_cancel_under_way_is_told() -> None:
    assert "Temporal's cancel was asked for" in whats(told(cancel_requested=True))[0]


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (
            Ending("completed", NOW - 60, result={"state": "finished"}),
            "The run finished (1 min ago",
        ),
        (Ending("completed", NOW - 60, result={"state": "revoked"}), "The run was revoked (1 min"),
        (Ending("failed", NOW - 60, "node a: no"), "The run failed: node a: no (1 min ago"),
        (Ending("terminated", NOW - 60, "by ann: x"), "The run was terminated: by ann: x (1 min"),
    ],
    ids=["finished", "revoked", "failed", "terminated"],
)
def test_an_ended_run_says_how_it_ended(ending: Ending, text: str) -> None:
    found = told(None, status=ending.word, ending=ending)

    assert found.text.startswith(text)
    assert "after 9 min" in found.text
    assert (found.problems, found.holders) == ((), ())


def test_an_ended_run_names_what_was_skipped() -> None:
    ending = Ending("completed", NOW, result={"state": "finished", "skipped": ["a", "b"]})

    assert told(None, status="completed", ending=ending).text.endswith("Skipped: a, b.")


def test_the_queues_of_plugins_are_found_at_any_depth() -> None:
    assert queues_of(VIEW) == ["zone-b"]
    assert queues_of(None) == []


@pytest.mark.parametrize("answer", [None, [], {"holders": 7}])
def test_an_answer_of_another_release_is_no_view(answer: Any) -> None:
    assert read_view(answer) is None


def test_a_run_that_is_loading_says_so_itself() -> None:
    view = read_view({"text": "the run is loading its plan"})

    assert told(view).text == "the run is loading its plan"
