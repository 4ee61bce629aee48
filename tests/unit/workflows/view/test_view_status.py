import json
import re

import pytest

from activities.contract import Picture, RunSettings
from tests.unit.workflows.view.view_plans import (
    NOW,
    chain,
    failed_release,
    plan,
    release,
    stand,
    task,
)
from translator.plan import Literal, Plan, Ref, Variable
from workflows.machine.state import JournalEntry, Live, NodeState, RunState, Status, Token
from workflows.machine.view import explain, page, status, stdops_state
from workflows.machine.view.page import HOW_TO_UPDATE, code, escape_markdown
from workflows.machine.view.svg import encoded_size


def run_state(root: Status = "running") -> RunState:
    state = RunState(started=NOW - 900)
    state.nodes[""] = NodeState(status=root, entry=1, since=NOW - 60)
    return state


def under_way(phase: str, deadline: float = 0) -> RunState:
    state = run_state()
    state.nodes["n0"] = NodeState(status="running", entry=1, since=NOW - 300)
    state.live["n0"] = Live(phase=phase, deadline=deadline)  # pyright: ignore[reportArgumentType]
    return state


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        ("calling", "Running"),
        ("polling", "Running"),
        ("queued", "Running"),
        ("waiting", "Waiting"),
        ("sleeping", "Waiting"),
        ("retrying", "Waiting"),
    ],
)
def test_a_run_waits_when_all_that_is_live_waits(phase: str, word: str) -> None:
    assert stdops_state(under_way(phase)) == word


def test_a_subflow_under_way_does_not_count_as_running() -> None:
    state = under_way("waiting")
    state.live["sub"] = Live(phase="inside")

    assert stdops_state(state) == "Waiting"


@pytest.mark.parametrize(
    ("root", "word"),
    [
        ("finished", "Finished"),
        ("revoked", "Revoked"),
        ("suspended", "Paused"),
        ("failed", "Failed"),
    ],
)
def test_the_root_decides_when_it_is_over_or_paused(root: Status, word: str) -> None:
    assert stdops_state(run_state(root)) == word


def test_a_failed_node_is_told_before_a_pause() -> None:
    state = run_state("suspended")
    state.failed["n0"] = "no"

    assert stdops_state(state) == "Failed"


def test_a_held_branch_makes_the_run_wait() -> None:
    state = run_state()
    state.tokens["t"] = Token(node="n0", held_by="n0")

    assert stdops_state(state) == "Waiting"


def test_status_names_the_failed_node_and_its_verbs() -> None:
    found = status(release(), failed_release(), NOW)

    assert (found.state, found.since) == ("Failed", NOW - 180)
    assert found.counts == {"failed": 1, "done": 5, "skipped": 1, "todo": 4}
    (node,) = found.failed
    assert (node.path, node.name, node.attempt) == ("sub1/n9", "更新进程", 2)
    assert (node.reason, node.verbs) == ("HTTP 503 from deploy.internal", ("retry", "skip"))


def test_verbs_follow_what_the_node_allows() -> None:
    shape = plan(task("a", "end").model_copy(update={"skippable": False}))
    state = run_state()
    state.nodes["a"] = NodeState(status="failed", entry=1)
    state.failed["a"] = "no"

    assert status(shape, state, NOW).failed[0].verbs == ("retry",)


def test_a_held_node_names_who_holds_it() -> None:
    state = run_state("suspended")
    state.tokens["t"] = Token(node="n0", held_by="")

    (node,) = status(chain(1), state, NOW).waiting

    assert (node.held_by, node.waits_for, node.verbs) == ("", "a resume of the run", ("resume",))


def test_outputs_are_shown_at_the_end_without_secrets() -> None:
    base = chain(1)
    secret = Variable(key="token", kind="plain", value=Literal(value=""), secret=True)
    shape = base.model_copy(
        update={"flow": base.flow.model_copy(update={"variables": {"token": secret}})}
    )
    state = run_state("finished")
    state.outputs = {"token": "s3cret", "count": 3}

    assert status(shape, state, NOW).outputs == {"token": "******", "count": 3}


def test_explain_shows_the_way_to_the_node_that_holds() -> None:
    found = explain(release(), failed_release(), NOW)

    assert "6 of 11 tasks are done" in found.text
    assert "released by retry or skip" in found.text
    (subflow,) = found.holders
    assert (subflow.path, subflow.inside[0].path) == ("sub1", "sub1/n9")
    assert subflow.inside[0].release == "retry or skip"


@pytest.mark.parametrize("phase", ["polling", "waiting"])
def test_explain_tells_what_a_plugin_says_of_itself(phase: str) -> None:
    state = under_way(phase)
    state.nodes["n0"].note = "JOB 20031"

    found = explain(chain(1), state, NOW)

    assert "[JOB 20031]" in found.text
    assert found.holders[0].note == "JOB 20031"


def test_explain_of_a_finished_run_names_no_holder() -> None:
    assert explain(chain(1), run_state("finished"), NOW).holders == ()


def test_explain_counts_what_it_does_not_name() -> None:
    state = run_state()
    for at in range(9):
        state.nodes[f"n{at}"] = NodeState(status="running", entry=1, since=NOW)
        state.live[f"n{at}"] = Live(phase="polling", after_s=5)

    assert "6 more hold it as well" in explain(chain(9), state, NOW).text


def shown(plan_: Plan, state: RunState, **settings: int) -> str:
    return page(plan_, state, RunSettings(**settings), NOW, run_id="release-1")  # pyright: ignore[reportArgumentType]


def test_the_page_of_a_failed_run_says_what_to_press() -> None:
    drawn = shown(release(), failed_release())

    lines = drawn.splitlines()
    assert lines[0] == "### ✗ Waiting for you: 1 node failed, 3 min ago"
    failed = "**更新进程** `sub1/n9`, attempt 2, 3 min ago: *HTTP 503 from deploy.internal*"
    assert lines[2] == failed
    assert lines[3] == (
        'Update **retry** `{"node": "sub1/n9"}` or **skip** `{"node": "sub1/n9"}`'
        '; with other inputs: `{"node": "sub1/n9", "set": {"url": "…"}}`'
    )
    assert lines[-5:-1] == [
        "- ✗ 1 failed · ✓ 5 done · ↷ 1 skipped · ○ 4 to go",
        "- 发布 version 3 · started 05:58 Asia/Shanghai",
        "- 06:10 retry `sub1/n9` by li",
        "- 06:05 skip `n4` by li: 值班已通知",
    ]


def test_the_page_stays_within_its_bound_with_the_whole_picture() -> None:
    drawn = shown(release(), failed_release())

    assert encoded_size(drawn) <= 6000
    assert ">解除屏蔽<" in drawn


def test_every_object_on_the_page_is_json() -> None:
    objects = re.findall(r"`(\{.*?\})`", shown(release(), failed_release()))

    assert [json.loads(found)["node"] for found in objects] == ["sub1/n9"] * 3


def test_no_value_of_an_input_is_on_the_page() -> None:
    assert "secret-value" not in shown(release(), failed_release(), picture_bytes=60000)


def test_more_failed_nodes_are_counted() -> None:
    state = run_state()
    for at in range(8):
        state.nodes[f"n{at}"] = NodeState(status="failed", entry=1, since=NOW - 5)
        state.failed[f"n{at}"] = "no"

    drawn = shown(chain(8), state, picture_bytes=60000)

    assert drawn.count("Update **retry**") == 5
    assert "and 3 more failed" in drawn


def test_the_words_shrink_before_the_picture_goes() -> None:
    state = run_state()
    for at in range(8):
        state.nodes[f"n{at}"] = NodeState(status="failed", entry=1, since=NOW - 5)
        state.failed[f"n{at}"] = "磁盘空间不足" * 30

    drawn = shown(chain(8), state)

    assert "<svg" in drawn
    assert encoded_size(drawn) <= 6000


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (under_way("waiting"), "### ◷ Waiting for 5 min"),
        (under_way("calling"), "### ▶ Running for 15 min"),
        (run_state("finished"), "### ✓ Finished 1 min ago, took 14 min"),
        (run_state("revoked"), "### ⊘ Revoked, 1 min ago"),
        (run_state("suspended"), "### ‖ Paused, 1 min ago. Update **resume** `{}` to go on"),
    ],
    ids=["waiting", "running", "finished", "revoked", "paused"],
)
def test_the_headline_tells_the_state(state: RunState, line: str) -> None:
    assert shown(chain(1), state).splitlines()[0] == line


def test_the_headline_tells_who_paused() -> None:
    state = run_state("suspended")
    state.journal = [JournalEntry(NOW - 60, "pause", "", "li_*", "")]

    assert shown(chain(1), state).startswith("### ‖ Paused by li\\_\\*, 1 min ago")


def test_a_waiting_node_offers_its_callback() -> None:
    drawn = shown(chain(1), under_way("waiting"))

    assert 'update **callback** `{"node": "n0", "data": {}}`' in drawn


def test_a_timer_says_when_it_fires() -> None:
    assert "waits 5 min for a timer, in 2 min" in shown(chain(1), under_way("sleeping", NOW + 120))


def test_a_node_held_by_a_subflow_offers_to_resume_that() -> None:
    state = run_state()
    stand(state, ["sub1"], "suspended")
    state.tokens["t"] = Token(node="sub1/n8", held_by="sub1")

    assert 'update **resume** `{"node": "sub1"}`' in shown(release(), state)


def test_a_refused_verb_is_told_with_its_reason() -> None:
    state = run_state()
    state.journal = [JournalEntry(NOW - 5, "skip", "n0", "", "", refusal="it is running")]

    assert "- 06:13 skip `n0`: refused: it is running" in shown(chain(1), state)


def test_what_an_ended_run_left_out_is_not_to_go() -> None:
    ended, going = run_state("finished"), run_state()

    assert "○ 1 not run" in shown(chain(1), ended)
    assert "○ 1 to go" in shown(chain(1), going)


def test_the_page_says_how_to_send_an_update_where_it_asks_for_one() -> None:
    assert HOW_TO_UPDATE in shown(release(), failed_release())
    assert HOW_TO_UPDATE in shown(chain(1), under_way("waiting"))
    assert HOW_TO_UPDATE in shown(chain(1), run_state("suspended"))
    assert HOW_TO_UPDATE not in shown(chain(1), under_way("calling"))


def test_the_input_offered_for_a_retry_is_the_first_that_is_made_of_variables() -> None:
    inputs = {"method": Literal(value="POST"), "url": Ref(key="url"), "body": Ref(key="body")}
    shape = plan(task("n0", "end").model_copy(update={"inputs": inputs}))
    state = run_state()
    state.nodes["n0"] = NodeState(status="failed", entry=1)
    state.failed["n0"] = "no"

    drawn = shown(shape, state)

    assert '`{"node": "n0", "set": {"url": "…"}}`' in drawn


def test_a_failed_gateway_offers_its_branches() -> None:
    state = run_state()
    state.nodes["x1"] = NodeState(status="failed", entry=1, since=NOW - 5)
    state.failed["x1"] = "no branch holds"

    drawn = shown(release(), state)

    assert 'or **choose** `{"node": "x1", "branch": "e0"}`' in drawn
    assert "; branches: `e0` ok, `e1` rollback, `e2` next" in drawn


def test_the_page_can_draw_in_text() -> None:
    drawn = page(release(), failed_release(), RunSettings(picture="text"), NOW)

    assert "<svg" not in drawn
    assert "├─ ✓ 备份数据库" in drawn
    assert drawn.count("```") == 2


def test_the_page_can_leave_the_drawing_out() -> None:
    drawn = page(release(), failed_release(), RunSettings(picture="off"), NOW)

    assert "<svg" not in drawn
    assert "```" not in drawn
    assert "Update **retry**" in drawn
    assert "✓ 5 done" in drawn


def test_a_pause_is_told_beside_a_failed_node() -> None:
    state = failed_release()
    state.nodes[""].status, state.nodes[""].since = "suspended", NOW - 60
    state.journal.append(JournalEntry(NOW - 60, "pause", "", "wang", ""))

    lines = shown(release(), state).splitlines()

    assert status(release(), state, NOW).paused
    assert lines[0].endswith("1 node failed, 3 min ago, and the run is paused")
    assert lines[2] == "‖ Paused by wang, 1 min ago. Update **resume** `{}` to go on"


@pytest.mark.parametrize("picture", ["svg", "text"])
def test_what_a_plugin_says_of_its_node_is_listed_and_drawn_its_handle_is_not(
    picture: Picture,
) -> None:
    state = under_way("polling")
    state.nodes["n0"].note = "JOB 20031"
    state.live["n0"].handle = {"job": 20031, "token": "canary"}
    state.live["n0"].rendered = {"script": "canary"}
    state.live["n0"].outputs = {"log": "canary"}
    state.written[""] = {"password": "canary"}

    drawn = page(chain(1), state, RunSettings(picture=picture), NOW)

    assert "- ▶ **step n0** `n0` JOB 20031 running for 5 min" in drawn.splitlines()
    assert drawn.count("JOB 20031") == 2
    assert "canary" not in drawn
    assert "canary" not in status(chain(1), state, NOW).model_dump_json()


HOSTILE = (
    "</svg><script>alert(1)</script>",
    "**a** [b](javascript:c) `d`\n\n# e",
    "<img src=x onerror=alert(1)>",
    "x" * 10_000,
    "\u202e\u05d0\u05d1 \u2066 end",
    ']]> --> \' """ &lt;b&gt; \x00',
)


@pytest.mark.parametrize("picture", ["svg", "text", "off"])
@pytest.mark.parametrize("text", HOSTILE, ids=["html", "markdown", "img", "long", "rtl", "quotes"])
def test_hostile_names_notes_and_reasons_stay_text(text: str, picture: Picture) -> None:
    state = run_state()
    for key in ("n0", "n1"):
        state.nodes[key] = NodeState(status="failed", entry=1, since=NOW - 5, note=text)
        state.failed[key] = text
    state.journal = [JournalEntry(NOW - 5, "skip", "n1", text, text, refusal=text)]
    shape = plan(task("n0", "n1", text), task("n1", "end", text), name=text)

    drawn = page(shape, state, RunSettings(picture=picture), NOW, run_id="r")

    outside = re.sub(r"```.*?```", "", drawn, flags=re.DOTALL)
    assert not re.search(r"<(?!/?(svg|g|path|text)\b)", outside)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", drawn)
    assert drawn.count("\n# ") == 0
    assert encoded_size(drawn) <= 6000


def test_names_cannot_break_out_of_the_markdown() -> None:
    assert escape_markdown("*a* <b> [c](d) `e`\n# f") == "\\*a\\* &lt;b\\> \\[c\\](d) \\`e\\` \\# f"
    assert code("a`b``c") == "```a`b``c```"
    assert code("`a`") == "`` `a` ``"


def test_a_path_that_the_plan_does_not_have_is_shown_as_it_is() -> None:
    stray = failed_release()
    stray.failed["gone/x"] = "old"

    assert "gone/x" in shown(release(), stray)
