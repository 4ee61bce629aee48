"""What a person sees of fragments that stay as they are written: status, page, command line."""

import pytest

from activities.contract import RunSettings
from tests.unit.workflows.view.view_plans import NOW, chain, stand
from workers.cli.follow import warnings
from workflows.machine.state import NodeState, RunState
from workflows.machine.telling import keep
from workflows.machine.view import page, status
from workflows.machine.view.status import MOST_WARNINGS
from workflows.machine.view.svg import encoded_size

PLAN = chain(300)


def warned(nodes: int, texts: int = 1, text: str = "stays <text> *it*") -> RunState:
    state = RunState(started=NOW - 900)
    state.nodes[""] = NodeState(status="running", entry=1, since=NOW - 60)
    stand(state, ["n0"])
    for number in range(nodes):
        keep(state, f"n{number}", [f"{text} {at}" for at in range(texts)])
    return state


def test_status_tells_the_newest_node_first() -> None:
    seen = status(PLAN, warned(2, 2), NOW)

    assert [(one.path, one.name, one.text[-1]) for one in seen.warnings] == [
        ("n1", "step n1", "0"),
        ("n1", "step n1", "1"),
        ("n0", "step n0", "0"),
        ("n0", "step n0", "1"),
    ]


def test_status_shows_a_hundred_and_counts_all_also_those_that_were_dropped() -> None:
    seen = status(PLAN, warned(220), NOW)

    assert (len(seen.warnings), seen.warnings_count) == (MOST_WARNINGS, 220)


def test_the_page_has_one_line_with_the_latest_escaped() -> None:
    seen = page(PLAN, warned(3), RunSettings(), NOW)

    (line,) = [line for line in seen.splitlines() if line.startswith("\u26a0")]
    assert line.startswith("\u26a0 3 warnings: **step n2** `n2` stays &lt;text\\> \\*it\\* 0; ")
    assert line.endswith("; and 1 more")


def test_a_run_without_warnings_has_no_such_line() -> None:
    assert "\u26a0" not in page(PLAN, warned(0), RunSettings(), NOW)


@pytest.mark.parametrize("bound", [500, 1500, 6000])
def test_the_page_stays_within_its_bound(bound: int) -> None:
    state = warned(200, 20, "\u6587" * 290)

    assert encoded_size(page(PLAN, state, RunSettings(picture_bytes=bound), NOW)) <= bound


def test_the_command_line_tells_ten_and_counts_the_rest() -> None:
    told = warnings(status(PLAN, warned(12), NOW).model_dump(mode="json"))

    assert told[0] == "\u26a0 step n11 (n11): stays <text> *it* 0"
    assert told[-1] == "\u26a0 and 2 more warnings"
    assert len(told) == 11


def test_a_status_of_before_has_nothing_to_tell() -> None:
    assert warnings({"state": "Running"}) == []
