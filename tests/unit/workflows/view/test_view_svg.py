import re
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from tests.unit.workflows.view.view_plans import (
    NOW,
    chain,
    failed_release,
    plan,
    release,
    stand,
    task,
    ways,
)
from translator.plan import Exclusive, LoopConfig
from workflows.machine.state import Live, NodeState, RunState, Status, Token
from workflows.machine.view import svg, text
from workflows.machine.view.blocks import blocks
from workflows.machine.view.fold import trim
from workflows.machine.view.signs import COLOURS, SIGNS, clock, remarks, span, view_of, waits_for
from workflows.machine.view.svg import encoded_size, fitted
from workflows.machine.view.width import clean, columns, cut_columns, cut_parts, cut_units, units


def words(drawn: str) -> list[str]:
    tree = ET.fromstring(drawn)  # noqa: S314  our own text
    return [found.text or "" for found in tree.iter("{http://www.w3.org/2000/svg}text")]


def test_a_release_is_drawn_whole_within_the_bound() -> None:
    drawn = svg(release(), failed_release(), NOW)

    assert encoded_size(drawn) <= 5000
    for name in (
        "✓ 屏蔽告警",
        "↷ 通知值班",
        "✗ 更新进程",
        "解除屏蔽",
        "▶ 分批发布 · round 2 · 10 min",
    ):
        assert name in words(drawn)


def test_second_lines_say_what_there_is_to_say() -> None:
    shown = words(svg(release(), failed_release(), NOW))

    assert "skipped by li, 10 min ago" in shown
    assert any(line.startswith("attempt 2 · HTTP 503") and line.endswith("3 min") for line in shown)


def test_a_node_that_is_done_says_what_it_was_and_how_long_it_took() -> None:
    state = failed_release()
    state.nodes["n2"].note, state.nodes["n2"].took = "JOB 20031", 72
    state.nodes["n5"].took = 31

    shown = words(svg(release(), state, NOW, max_bytes=None))

    assert "JOB 20031 · 1 min 12 s" in shown
    assert "job_fast_execute_script · 31 s" in shown


def test_in_a_zone_a_skip_says_its_time_of_day() -> None:
    view = view_of(failed_release(), NOW, "Asia/Shanghai")

    assert remarks("n4", task("n4", "c1"), view) == ["skipped by li, 06:03"]


@pytest.mark.parametrize(
    ("age", "said"), [(0, "06:13"), (19 * 3600, "11:13"), (30 * 3600, "11-14 00:13")]
)
def test_a_time_of_day_has_its_date_where_it_could_be_mistaken(age: float, said: str) -> None:
    assert clock(NOW - age, view_of(None, NOW, "Asia/Shanghai")) == said


def test_a_node_that_loops_on_itself_says_which_round_of_how_many() -> None:
    state = RunState()
    state.nodes["a"] = NodeState("finished", 2, inner_loop=2, took=9)
    node = task("a", "end").model_copy(update={"loop": LoopConfig(times=4)})

    assert remarks("a", node, view_of(state, NOW), brief=True) == ["round 2 of 4", "9 s"]


@pytest.mark.parametrize(
    ("phase", "note", "said"),
    [
        ("polling", "JOB 7", ["JOB 7", "1 min"]),
        ("polling", "", ["polling", "1 min"]),
        ("calling", "", ["job_fast_execute_script", "1 min"]),
        ("waiting", "ticket 9", ["ticket 9", "callback", "1 min"]),
        ("sleeping", "", ["timer in 30 s"]),
        ("queued", "", ["queued", "1 min"]),
    ],
)
def test_a_node_under_way_says_what_it_is_at(phase: str, note: str, said: list[str]) -> None:
    state = RunState()
    state.nodes["a"] = NodeState("running", 1, since=NOW - 60, note=note)
    state.live["a"] = Live(phase=phase, deadline=NOW + 30)  # pyright: ignore[reportArgumentType]

    assert remarks("a", task("a", "end"), view_of(state, NOW)) == said


def test_what_is_to_come_is_an_outline() -> None:
    drawn = svg(release(), failed_release(), NOW)

    outlines = re.search(r'fill="none" stroke="#9e9e9e" d="([^"]*)"', drawn)

    assert outlines is not None
    assert outlines[1].count("M") == 6  # four tasks, a converge and the end


def test_the_page_spares_the_quotes_that_html_does_not_need() -> None:
    view = view_of(failed_release(), NOW)
    name = 'a="b" <text x="1">'
    items = trim(blocks(plan(task("a", "end", name)).flow), view)

    drawn = fitted(items, view, 6000, html=True)

    assert "<text x=" in drawn
    assert 'viewBox="0 0 ' in drawn
    assert 'a="b" &lt;text x="1"' in drawn
    assert not re.search(r'=[^"\s>]+/>', drawn)


def test_only_what_the_page_can_show_is_used() -> None:
    drawn = svg(release(), failed_release(), NOW)

    assert not re.search(r"style|font-size|<image|\n\n", drawn)
    assert drawn.count("\n") == 1


def test_without_a_state_the_template_is_drawn_whole() -> None:
    shown = words(svg(chain(300), None, 0))

    assert sum(word.startswith("step n") for word in shown) == 300
    assert not [word for word in shown if word[:1] in SIGNS.values()]


def test_large_flows_fold_around_what_failed() -> None:
    state = RunState()
    stand(state, ["start", *(f"n{at}" for at in range(150))])
    state.nodes["n150"] = NodeState(status="failed", entry=1, since=NOW - 9)
    state.failed["n150"] = "broken"

    shown = words(svg(chain(300), state, NOW))

    assert "✗ step n150" in shown
    assert "✓ step n149" in shown
    assert any(word.endswith(" done") for word in shown)
    assert any(word.endswith(" to go") for word in shown)


def test_where_no_picture_fits_there_is_a_list() -> None:
    drawn = svg(release(), failed_release(), NOW, max_bytes=500)

    assert drawn.splitlines() == ["- ✗ 1 · ✓ 5 · ↷ 1 · ○ 4", "- ✗ `sub1/n9`"]


def test_an_overview_has_signs_and_no_names() -> None:
    shown = words(svg(release(), failed_release(), NOW, names=False))

    assert "✗" in shown
    assert not [word for word in shown if "更新" in word]


def test_hostile_names_stay_text() -> None:
    shape = plan(task("a", "end", '</svg><script>alert("x")</script>\n\n# h\x00'))

    shown = words(svg(shape, None, 0))

    assert shown[0].startswith("</svg>")


def test_a_failed_gateway_says_so_beside_it() -> None:
    shape = plan(
        Exclusive(id="g", name="通过", branches=ways("a", "b")), task("a", "end"), task("b", "end")
    )
    state = RunState()
    state.nodes["g"] = NodeState(status="failed", entry=1, since=NOW - 5)
    state.live["g"] = Live(phase="inside", error="none holds")
    state.failed["g"] = "none holds"

    assert "✗ 通过" in words(svg(shape, state, NOW))


def test_the_way_that_was_not_taken_is_dashed() -> None:
    shape = plan(Exclusive(id="g", branches=ways("a", "end")), task("a", "end"))
    state = RunState()
    stand(state, ["start", "g", "a", "end"])

    dashed = re.search(r'stroke-dasharray="4 4" d="([^"]*)"', svg(shape, state, NOW))

    assert dashed is not None
    assert dashed[1].count("M") == 1


@pytest.mark.parametrize(
    ("status", "phase", "look"),
    [
        ("finished", None, "done"),
        ("skipped", None, "skipped"),
        ("failed", "inside", "failed"),
        ("failed", "retrying", "waiting"),
        ("running", "calling", "running"),
        ("running", "polling", "running"),
        ("running", "waiting", "waiting"),
        ("running", "sleeping", "waiting"),
        ("suspended", None, "paused"),
        ("revoked", None, "revoked"),
        ("ready", None, "waiting"),
    ],
)
def test_every_status_has_its_look(status: Status, phase: str | None, look: str) -> None:
    state = RunState()
    state.nodes["a"] = NodeState(status=status, entry=1)
    if phase:
        state.live["a"] = Live(phase=phase)  # pyright: ignore[reportArgumentType]

    assert view_of(state, NOW).look("a") == look
    assert look in SIGNS
    assert look in COLOURS


def test_a_node_that_a_pause_holds_looks_paused() -> None:
    state = RunState()
    state.tokens["t"] = Token(node="a", held_by="")

    assert view_of(state, NOW).look("a") == "paused"


def test_an_ignored_error_is_told() -> None:
    state = RunState()
    state.nodes["a"] = NodeState("finished", 1, error_ignored=True, took=5)

    assert remarks("a", task("a", "end"), view_of(state, NOW))[1:] == ["error ignored", "5 s"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (61, "1 min"),
        (3600, "1 h"),
        (3720, "1 h 2 min"),
        (90000, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_spans_of_time(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_what_a_live_node_waits_for() -> None:
    polling = Live(phase="polling", handle={"job": 7}, after_s=5)

    assert waits_for(polling, NOW) == "outside work, looked at every 5 s"
    assert waits_for(Live(phase="retrying", deadline=NOW + 20), NOW).endswith("in 20 s")
    assert waits_for(Live(phase="sleeping", deadline=NOW - 1), NOW) == "a timer, now"


def test_chinese_takes_two_columns() -> None:
    assert columns("发布 v1") == 7
    assert cut_columns("发布更新", 5) == "发布…"
    assert cut_columns("发布", 4) == "发布"


def test_a_cut_text_fits_its_room() -> None:
    long = "发布 release WWW " * 5

    assert units(cut_units(long, 100)) <= 100
    assert cut_units(long, 100).endswith("…")


@pytest.mark.parametrize(
    ("parts", "room", "said"),
    [
        (["JOB 7", "9 s"], 200, "JOB 7 · 9 s"),
        (["job_fast_execute_script", "9 s"], 150, "job_fast_ex… · 9 s"),
        (["job_fast_execute_script", "1 h 2 min"], 100, "1 h 2 min"),
        (["job_fast_execute_script"], 90, "job_fast_…"),
        ([], 90, ""),
    ],
)
def test_the_longest_part_is_cut_and_the_short_ones_stay(
    parts: list[str], room: float, said: str
) -> None:
    assert cut_parts(parts, room) == said


def test_clean_text_is_one_printable_line() -> None:
    assert clean(" a\n\tb\x1b[31m\u200bc ") == "a b [31m c"


def test_the_text_drawing_is_a_tree() -> None:
    state = failed_release()
    state.nodes["n2"].took = 72

    drawn = text(release(), state, NOW, 70).splitlines()

    assert drawn[3] == "├─ ✓ 备份数据库             n2  1 min 12 s"
    assert "n2  job_fast_execute_script · 1 min 12 s" in text(release(), state, NOW, 80)
    assert drawn[10] == "┊  ✗ 更新进程               sub1/n9  attempt 2 · HTTP 503 from deploy…"
    assert "└─ next ↺ 分批发布" in drawn


def test_colours_are_written_only_when_asked_for() -> None:
    plain = text(release(), failed_release(), NOW)
    coloured = text(release(), failed_release(), NOW, color=True)

    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


@pytest.mark.parametrize("text", ["", "plain", "a b/c?d=é&~_.-", "发布 ✗ 🚀", "<text x='1'>\n"])
def test_a_size_is_that_in_an_address(text: str) -> None:
    assert encoded_size(text) == len(quote(text, safe=""))
