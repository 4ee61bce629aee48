"""The report: tables for people, JSON for programs, a plot; and what may be asked for."""

import io
import json
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from bench.__main__ import arguments, parts, wanted
from bench.contestants import load
from bench.docs import section
from bench.picture import Scale, picture
from bench.report import as_json, show
from bench.results import RECORDED, Results, Row
from bench.shapes import shapes
from tests.helpers.bench_guest import play

OURS = Row("line", "activity", "1 x 1,000 in a line", "stdops", 1_000, 50.0, cpu_ms=8.0)
FOUND = Results(rows=[OURS, OURS._replace(contestant="by hand", nodes_s=100.0, cpu_ms=4.0)])


def shown(found: Results) -> str:
    out = io.StringIO()
    show(found, Console(file=out, width=170))
    return out.getvalue()


def test_the_table_has_both_sides_and_the_figure_recorded_elsewhere() -> None:
    lines = [line for line in shown(FOUND).splitlines() if "in a line │" in line]

    assert ["stdops" in lines[0], "by hand" in lines[1]] == [True, True]
    assert "bamboo-engine (recorded elsewhere)" in lines[2]
    assert "308.0" in lines[2]


def test_the_table_marks_each_budget() -> None:
    text = shown(FOUND)

    assert text.count("MISSED") == 2
    assert "speed over by hand" in text


def test_what_failed_is_told() -> None:
    assert "guest failed" in shown(Results(failures=["guest failed: OSError()"]))


def test_the_json_holds_rows_budgets_machine_and_date() -> None:
    told = json.loads(json.dumps(as_json(FOUND, quick=True, is_complete=False)))

    assert {"date", "machine", "budgets", "rows", "recorded", "replay_ms"} <= told.keys()
    assert (told["quick"], told["complete"]) == (True, False)
    assert [set(each) for each in told["budgets"]] == [{"name", "goal", "measured", "met"}] * 2
    assert {"cores", "python", "temporalio"} <= told["machine"].keys()
    assert [Row(**row) for row in told["rows"]] == FOUND.rows


def test_the_plot_has_a_dot_for_each_rate() -> None:
    tree = ET.fromstring(picture(FOUND.rows))  # noqa: S314  our own text

    dots = [found for found in tree.iter() if found.attrib.get("r") == "6"]

    assert len(dots) == len(FOUND.rows) + 1
    assert float(dots[0].attrib["cx"]) < float(dots[1].attrib["cx"])


def test_a_plot_of_nothing_is_drawn() -> None:
    assert picture([]).startswith("<svg")


def test_the_scale_ends_at_powers_of_ten() -> None:
    scale = Scale([30.0, 5_000.0])

    assert (scale.first, scale.last) == (1, 4)
    assert scale.x(10.0) < scale.x(100.0) < scale.x(10_000.0)


def test_the_page_marks_what_was_missed() -> None:
    text = section(as_json(FOUND, quick=False, is_complete=True))

    assert "| 1 x 1,000 in a line: speed over by hand | ≥ 0.95 | 0.5 | **missed** |" in text
    assert f"| {RECORDED[0].contestant} (recorded elsewhere) |" in text


def test_without_a_name_every_shape_is_wanted() -> None:
    assert wanted([], quick=True) == shapes(quick=True)


def test_a_replay_brings_the_line_with_an_activity_a_node() -> None:
    assert [(s.key, s.kind) for s in wanted(["replay"], quick=True)] == [("line", "activity")]


def test_what_needs_no_server_brings_no_shape() -> None:
    assert wanted(["machine", "compile"], quick=True) == []


def test_a_contestant_is_found_by_its_name() -> None:
    assert load("tests.helpers.bench_guest:play")[1] is play


@pytest.mark.parametrize("name", ["no.such:thing", "bench.runs:thing", "bench.runs", ""])
def test_a_contestant_that_is_not_there_is_refused(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(["--contestant", name])

    assert ended.value.code == 2
    assert "write it as module:function" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_rounds_are_a_number_from_one_on(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--rounds", text])

    assert "no whole number from 1 on" in capsys.readouterr().err


def test_the_names_of_shapes_are_those_of_the_help() -> None:
    assert parts()[:3] == ["one", "nested", "fan"]
    assert parts()[-3:] == ["replay", "machine", "compile"]
