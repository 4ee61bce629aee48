"""The commands that need no server, as a person meets them; none of them may open a socket."""

import json
import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from workers.cli import app
from workers.demo.release import template


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an offline command opens a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def release(tmp_path: Path) -> str:
    file = tmp_path / "release.json"
    file.write_bytes(template())
    return str(file)


def stdops(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def chain(name: str, *codes: str, **more: Any) -> dict[str, Any]:
    """A web row whose tasks n1, n2, ... call `codes` one after the other."""
    nodes = ["s", *(f"n{i}" for i in range(1, len(codes) + 1)), "e"]
    edges = list(pairwise(nodes))
    flows = {f"{a}-{b}": {"id": f"{a}-{b}", "source": a, "target": b} for a, b in edges}
    activities = {
        node: {
            "id": node,
            "type": "ServiceActivity",
            "name": f"step {node}",
            "incoming": f"{nodes[i]}-{node}",
            "outgoing": f"{node}-{nodes[i + 2]}",
            "component": {"code": code, "version": "legacy", "data": more.get(node, {})},
        }
        for i, (node, code) in enumerate(zip(nodes[1:-1], codes, strict=True))
    }
    tree = {
        "start_event": {"id": "s", "type": "EmptyStartEvent", "incoming": "", "outgoing": "s-n1"},
        "end_event": {
            "id": "e",
            "type": "EmptyEndEvent",
            "incoming": [f"{nodes[-2]}-e"],
            "outgoing": "",
        },
        "activities": activities,
        "gateways": {},
        "flows": flows,
        "constants": more.get("constants", {}),
        "outputs": more.get("outputs", []),
    }
    return {"id": name, "name": name, "pipeline_tree": tree}


def saved(folder: Path, *rows: dict[str, Any]) -> str:
    file = folder / "flows.json"
    file.write_text(json.dumps(list(rows)), "utf-8")
    return str(file)


# --- lint -------------------------------------------------------------------------------------


def test_lint_of_a_sound_template_ends_well(release: str) -> None:
    result = stdops("lint", release)

    assert (result.exit_code, result.output.strip()) == (0, "no findings")


def test_lint_of_truncated_json_shows_the_place(tmp_path: Path) -> None:
    file = tmp_path / "cut.json"
    file.write_text('{"activities": ', "utf-8")

    result = stdops("lint", str(file))

    assert result.exit_code == 1
    assert "cut.json:1:" in result.output
    assert "error SOP" in result.output


@pytest.mark.parametrize("name", ["none.json", "."], ids=["none", "folder"])
def test_lint_of_what_is_no_file_says_so(name: str, tmp_path: Path) -> None:
    result = stdops("lint", str(tmp_path / name))

    assert result.exit_code == 2
    assert result.stderr.startswith("error SOP540 ")
    assert len(result.stderr.splitlines()) == 1


def test_strict_lint_fails_on_a_warning(tmp_path: Path) -> None:
    file = saved(tmp_path, chain("one", "nobody_has_this"))

    lenient, strict = stdops("lint", file), stdops("lint", file, "--strict")

    assert (lenient.exit_code, strict.exit_code) == (0, 1)


def test_lint_prints_json_and_sarif(tmp_path: Path) -> None:
    file = saved(tmp_path, chain("one", "nobody_has_this"))

    found = json.loads(stdops("lint", file, "--json").stdout)
    sarif = json.loads(stdops("lint", file, "--format", "sarif").stdout)

    assert found[0]["code"] == sarif["runs"][0]["results"][0]["ruleId"]


# --- plan and graph ---------------------------------------------------------------------------


def test_plan_names_plugins_queue_and_variables(release: str) -> None:
    facts = json.loads(stdops("plan", release, "--json").stdout)

    check = next(node for node in facts["nodes"] if node["path"] == "check")
    assert (check["plugin"], check["version"], check["queue"]) == (
        "bk_http_request",
        "v1.0",
        "stdops",
    )
    assert facts["template"] == "release"
    assert facts["counts"]["task"] == 14
    assert facts["unknown"] == []
    rounds = next(one for one in facts["variables"] if one["key"] == "rounds")
    assert rounds["kind"] == "output"
    assert "enough" in rounds["used_by"]


def test_plan_lists_what_is_missing(tmp_path: Path) -> None:
    file = saved(tmp_path, chain("one", "sleep_timer", "nobody_has_this"))

    result = stdops("plan", file)

    assert result.exit_code == 0
    assert "1 missing" in result.output
    assert "'nobody_has_this'" in result.output


def test_a_file_with_several_templates_needs_a_choice(tmp_path: Path) -> None:
    file = saved(tmp_path, chain("one", "bk_display"), chain("two", "bk_display"))

    unclear, chosen = stdops("plan", file), stdops("plan", file, "two")

    assert unclear.exit_code == 2
    assert "error SOP542 the file holds 2 templates: 'one', 'two'" in unclear.stderr
    assert chosen.exit_code == 0


def test_the_template_that_no_other_calls_is_chosen(release: str) -> None:
    assert json.loads(stdops("plan", release, "--json").stdout)["template"] == "release"


def test_an_unknown_template_of_a_file_is_refused_with_a_hint(release: str) -> None:
    result = stdops("graph", release, "canry")

    assert result.exit_code == 2
    assert "did you mean 'canary'?" in result.stderr


def test_a_key_without_a_store_is_refused(tmp_path: Path) -> None:
    result = stdops("plan", "release")

    assert result.exit_code == 2
    assert "SOP541" in result.stderr
    assert not (tmp_path / "data").exists()


def test_an_imported_template_is_found_by_its_key(release: str) -> None:
    stdops("import", release)

    assert json.loads(stdops("plan", "canary", "--json").stdout)["template"] == "canary"


def test_graph_writes_svg_where_the_name_says_so(release: str, tmp_path: Path) -> None:
    out = tmp_path / "release.svg"

    result = stdops("graph", release, "-o", str(out))

    assert result.exit_code == 0
    assert out.read_text("utf-8").startswith("<svg")


def test_graph_draws_text(release: str) -> None:
    result = stdops("graph", release)

    assert "发布通知 Announce" in result.output
    assert "├─" in result.output


# --- simulate ---------------------------------------------------------------------------------


def simulated(*args: str) -> tuple[int, dict[str, Any]]:
    result = stdops("simulate", *args, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_a_simulation_runs_to_the_end_in_virtual_time(release: str) -> None:
    code, seen = simulated(release, "--set", "environment=test")

    assert (code, seen["state"], seen["elapsed_s"]) == (0, "finished", 5)
    assert seen["outputs"]["rounds"] == 3
    passed = [row["path"] for row in seen["path"]]
    assert "no-backup" in passed
    assert "backup" not in passed
    assert passed.count("probe") == 3


def test_a_failing_node_ends_a_simulation_with_its_verbs(release: str) -> None:
    code, seen = simulated(release, "--fail", "rollout")

    assert (code, seen["state"]) == (3, "failed")
    assert seen["standing"][0]["node"] == "rollout"
    assert {"retry", "skip"} <= set(seen["standing"][0]["verbs"])


def test_a_timer_and_a_node_of_a_subflow_can_be_made_to_fail(release: str) -> None:
    code, seen = simulated(release, "--fail", "canary/canary-observe")

    assert code == 3
    assert seen["standing"][0]["node"] == "canary/canary-observe"


def test_mocks_give_outputs_time_and_callbacks(tmp_path: Path) -> None:
    output = {
        "key": "${got}",
        "name": "got",
        "source_type": "component_outputs",
        "source_info": {"n1": ["answer"]},
        "custom_type": "",
        "value": "",
        "show_type": "hide",
        "index": 0,
    }
    row = chain("one", "job", "ask", constants={"${got}": output}, outputs=["${got}"])
    mocks = tmp_path / "mocks.yaml"
    mocks.write_text(
        "job: {outcome: poll, after: 90, outputs: {answer: 42}}\n"
        "step n2: {outcome: wait, after: 10, callback: {ok: true}}\n",
        "utf-8",
    )

    code, seen = simulated(saved(tmp_path, row), "--mock", str(mocks))

    assert (code, seen["elapsed_s"], seen["outputs"]) == (0, 100, {"got": 42})


def test_who_is_never_called_back_waits(tmp_path: Path) -> None:
    mocks = tmp_path / "mocks.json"
    mocks.write_text('{"n1": [{"outcome": "wait"}]}', "utf-8")

    code, seen = simulated(saved(tmp_path, chain("one", "pause_node")), "--mock", str(mocks))

    assert (code, seen["state"]) == (3, "waiting")
    assert "callback" in seen["standing"][0]["verbs"]


def test_a_pause_is_confirmed_where_nothing_is_said(tmp_path: Path) -> None:
    code, seen = simulated(saved(tmp_path, chain("one", "pause_node")))

    assert (code, seen["state"]) == (0, "finished")


def test_later_attempts_of_a_mock_count(tmp_path: Path) -> None:
    row = chain("one", "job")
    retries = {"enable": True, "interval": 30, "times": 2}
    row["pipeline_tree"]["activities"]["n1"]["auto_retry"] = retries

    code, seen = simulated(saved(tmp_path, row), "--fail", "n1:2")

    assert (code, seen["elapsed_s"]) == (0, 60)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--set", "version"], "'version' is no K=V"),
        (["--set", "version:={"], "is no JSON"),
        (["--set", "verson=1"], "did you mean 'version'?"),
        (["--fail", "nobody"], "no node is called 'nobody'"),
        (["--fail", "fork"], "is no task"),
        (["--mock", "none.json"], "no such file"),
        (["--inputs", "none.json"], "no such file"),
    ],
    ids=["no pair", "no json", "no variable", "no node", "no task", "no mocks", "no inputs"],
)
def test_wrong_use_is_refused_in_one_line(release: str, args: list[str], said: str) -> None:
    result = stdops("simulate", release, *args)

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.startswith("error SOP")
    assert len(result.stderr.splitlines()) == 1


def test_every_wrong_value_is_told(release: str) -> None:
    result = stdops("simulate", release, "--set", "one=1", "--set", "two=2")

    assert "'one'" in result.stderr
    assert "'two'" in result.stderr


def test_a_malformed_mock_is_refused_with_all_its_problems(release: str, tmp_path: Path) -> None:
    mocks = tmp_path / "mocks.json"
    mocks.write_text('{"probe": [{"outcome": "explode"}], "check": [{"befor": 1}]}', "utf-8")

    result = stdops("simulate", release, "--mock", str(mocks))

    assert result.exit_code == 2
    assert "SOP543" in result.stderr
    assert "probe" in result.stderr
    assert "befor" in result.stderr


# --- import -----------------------------------------------------------------------------------


def test_import_saves_and_an_unchanged_template_keeps_its_version(release: str) -> None:
    first = json.loads(stdops("import", release, "--json").stdout)
    again = json.loads(stdops("import", release, "--json").stdout)

    assert [(one["key"], one["version"], one["created"]) for one in first] == [
        ("release", 1, True),
        ("canary", 1, True),
    ]
    assert [one["created"] for one in again] == [False, False]


def test_an_error_in_one_file_keeps_all_out(release: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{", "utf-8")

    result = stdops("import", release, str(bad))

    assert result.exit_code == 1
    assert stdops("plan", "release").exit_code == 2


def test_a_dry_run_imports_nothing(release: str) -> None:
    assert stdops("import", release, "--dry-run").exit_code == 0
    assert stdops("plan", "release").exit_code == 2


def test_a_child_may_come_in_a_later_file(tmp_path: Path) -> None:
    rows = json.loads(template())
    parent, child = tmp_path / "parent.json", tmp_path / "child.json"
    parent.write_text(json.dumps(rows[0]), "utf-8")
    child.write_text(json.dumps(rows[1]), "utf-8")

    result = stdops("import", str(parent), str(child), "--json")

    assert result.exit_code == 0
    assert [one["key"] for one in json.loads(result.stdout)] == ["canary", "release"]
