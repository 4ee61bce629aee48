import random
from collections.abc import Sequence
from itertools import combinations
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.contract import Picture, RunSettings
from tests.unit.workflows.view.view_plans import NOW, chain, plan, stand, task, ways
from tests.unit.workflows.view.view_strategies import paths_of, plans, runs
from translator.plan import Converge, Parallel, Plan
from workflows.machine.state import Live, NodeState, RunState
from workflows.machine.view import explain, layout, page, status, stdops_state, svg, text
from workflows.machine.view.blocks import blocks, leaves
from workflows.machine.view.layout import Box, Layout, lay_out
from workflows.machine.view.measure import SMALL
from workflows.machine.view.width import columns, units

SLOW = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def meet(left: Box, right: Box) -> bool:
    return (
        left.x < right.x + right.width
        and right.x < left.x + left.width
        and left.y < right.y + right.height
        and right.y < left.y + left.height
    )


def overlaps(placed: Layout) -> list[tuple[Box, Box]]:
    return [(a, b) for a, b in combinations(placed.boxes, 2) if meet(a, b)]


@SLOW
@given(plans())
def test_boxes_never_meet(plan: Plan) -> None:
    assert overlaps(layout(plan)) == []


@SLOW
@given(plans())
def test_labels_stand_beside_the_boxes(plan: Plan) -> None:
    placed = layout(plan)

    for label in placed.labels:
        width = int(units(label.text) * SMALL)
        words = Box("label", "box", label.x, label.y - 10, width, 12)
        assert not [box for box in placed.boxes if meet(box, words)]


@SLOW
@given(plans())
def test_everything_stands_on_the_page(plan: Plan) -> None:
    placed = layout(plan)

    for box in placed.boxes:
        assert box.x >= 0
        assert box.x + box.width <= placed.width
        assert box.y >= 0
        assert box.y + box.height <= placed.height


@SLOW
@given(plans())
def test_every_reachable_node_is_placed_once(plan: Plan) -> None:
    placed = [box.path for box in layout(plan).boxes] + [f.path for f in layout(plan).frames]

    assert sorted(placed) == sorted(paths_of(plan.flow))


@SLOW
@given(runs(), st.sampled_from([300, 1000, 3000, 6000, 20000]))
def test_a_picture_is_bounded(run: tuple[Plan, RunState], bound: int) -> None:
    drawn = svg(*run, NOW, max_bytes=bound)

    assert len(quote(drawn)) <= bound


@SLOW
@given(runs())
def test_a_picture_is_xml_without_blank_lines(run: tuple[Plan, RunState]) -> None:
    for drawn in (
        svg(*run, NOW, max_bytes=None),
        svg(run[0], None, 0),
        svg(*run, NOW, names=False),
    ):
        ET.fromstring(drawn)  # noqa: S314  our own text
        assert "\n\n" not in drawn
        assert "style" not in drawn


@SLOW
@given(runs(), st.sampled_from([100, 700, 2000, 6000]), st.sampled_from(["svg", "text", "off"]))
def test_a_page_is_bounded(run: tuple[Plan, RunState], bound: int, picture: Picture) -> None:
    shown = page(*run, RunSettings(picture_bytes=bound, picture=picture), NOW, run_id="r")

    assert len(quote(shown)) <= bound


@SLOW
@given(runs(), st.integers(20, 120))
def test_no_line_of_the_text_is_too_wide(run: tuple[Plan, RunState], width: int) -> None:
    drawn = text(*run, NOW, width)

    assert max(map(columns, drawn.splitlines())) <= width


@SLOW
@given(runs())
def test_words_about_a_run_can_always_be_found(run: tuple[Plan, RunState]) -> None:
    found = status(*run, NOW)

    assert found.state == stdops_state(run[1])
    assert explain(*run, NOW).text
    assert len(found.failed) <= len(run[1].failed)


def wide(lanes: int) -> Plan:
    keys = [f"w{at}" for at in range(lanes)]
    return plan(
        Parallel(id="p", branches=ways(*keys), converge="c"),
        *(task(key, "c", f"主机{key}") for key in keys),
        Converge(id="c", next="end"),
    )


def disturbed(plan: Plan, seed: int) -> RunState:
    """A state in which about a third of the nodes run or failed."""
    chance = random.Random(seed)
    state = RunState(started=NOW - 5000)
    for path in paths_of(plan.flow):
        look = chance.choice(["finished", "finished", "failed", "running"])
        stand(state, [path])
        if look == "failed":
            state.nodes[path] = NodeState(status="failed", entry=1, since=NOW - 60)
            state.failed[path] = "磁盘空间不足 " * 40
        elif look == "running":
            state.nodes[path] = NodeState(status="running", entry=1, since=NOW - 60)
            state.live[path] = Live(phase="polling", handle={"job": 1}, after_s=5)
    return state


SHAPES: Sequence[Plan] = (chain(400, "很长的中文节点名称"), wide(400), wide(50))


@pytest.mark.parametrize("shape", SHAPES, ids=["chain", "wide", "fifty lanes"])
@pytest.mark.parametrize("seed", range(3))
def test_large_and_busy_runs_are_bounded_and_drawn(shape: Plan, seed: int) -> None:
    state = disturbed(shape, seed)

    drawn = page(shape, state, RunSettings(), NOW, run_id="release-1")

    assert len(quote(drawn)) <= 6000
    assert "<svg" in drawn


@SLOW
@given(plans())
def test_a_drawing_is_the_same_each_time(plan: Plan) -> None:
    assert svg(plan, None, 0) == svg(plan, None, 0)
    assert lay_out(blocks(plan.flow)) == layout(plan)
    assert len([*leaves(blocks(plan.flow))]) <= len(paths_of(plan.flow))
