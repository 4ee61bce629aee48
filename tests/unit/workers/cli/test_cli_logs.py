import json
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from workers.cli import app
from workers.log_lines import Tail, as_text, is_of, lines_of
from workers.logs import LogFile, configure_logs, files_of

LINES: list[dict[str, Any]] = [
    {"run": "r-1", "node": "sub/a", "event": "asked JOB", "level": "info", "job": 7},
    {"run": "r-1/sub", "node": "b", "event": "in a child", "level": "info"},
    {"run": "r-10", "node": "a", "event": "of another run", "level": "info"},
    {"event": "run r-1 is only named here"},
]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Generator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "worker.log"
    monkeypatch.setenv("STDOPS_LOG_FILE", str(file))
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES) + "no JSON r-1\n")
    return file


def logs(*args: str) -> Result:
    return CliRunner().invoke(app, ["logs", *args])


def test_the_lines_of_a_run_and_of_its_children_are_shown(kept: Path) -> None:
    done = logs("r-1")

    assert done.exit_code == 0
    assert "sub/a  asked JOB  job=7" in done.stdout
    assert "r-1/sub b  in a child" in done.stdout
    assert "another run" not in done.stdout
    assert kept.exists()


@pytest.mark.parametrize(("node", "count"), [("sub/a", 1), ("a", 1), ("sub", 1), ("b", 1)])
@pytest.mark.usefixtures("kept")
def test_a_node_is_named_by_path_by_id_or_by_its_subflow(node: str, count: int) -> None:
    assert len(logs("r-1", node).stdout.splitlines()) == count


@pytest.mark.usefixtures("kept")
def test_a_mistyped_node_gets_the_nodes_that_have_lines() -> None:
    done = logs("r-1", "x")

    assert "no line of node 'x'; there are lines of sub/a, b" in done.stderr


def test_where_nothing_is_found_it_is_said_where_was_looked(kept: Path) -> None:
    found, missing = logs("r-7"), logs("r-7", "--file", "gone.log")

    assert f"looked in {kept}" in found.stderr
    assert "there is no gone.log" in missing.stderr


def test_json_is_printed_as_it_is_kept(kept: Path) -> None:
    done = logs("r-1", "--json", "--file", str(kept))

    assert [json.loads(line) for line in done.stdout.splitlines()] == LINES[:2]


def test_a_worker_keeps_json_lines_without_secrets_bound_to_their_place(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "worker.log"
    configure_logs("info", file=LogFile(file, 1_000_000), shown=False)

    with structlog.contextvars.bound_contextvars(run="r-1", node="a", entry=1, attempt=2):
        logging.getLogger("somebody").warning("password=hunter22")

    (line,) = lines_of(file.read_text().splitlines(), "r-1")
    assert (line["node"], line["entry"], line["attempt"]) == ("a", 1, 2)
    assert line["event"] == "password=***"


def test_a_log_is_rotated_and_read_from_the_oldest_on(tmp_path: Path) -> None:
    file = tmp_path / "worker.log"
    configure_logs("info", file=LogFile(file, 2000), shown=False)

    for number in range(40):
        structlog.get_logger("x").info(f"line {number}", run="r-1")

    files = files_of(file)
    texts = [text for each in files for text in each.read_text().splitlines()]
    assert len(files) > 2
    assert [line["event"] for line in lines_of(texts, "r-1")] == [f"line {n}" for n in range(40)]


def test_a_file_that_another_process_has_rotated_is_opened_anew(tmp_path: Path) -> None:
    file = tmp_path / "worker.log"
    configure_logs("info", file=LogFile(file, 1_000_000), shown=False)
    structlog.get_logger("x").info("before")

    file.rename(tmp_path / "worker.log.1")
    structlog.get_logger("x").info("after")

    assert "after" in file.read_text()
    assert "before" in (tmp_path / "worker.log.1").read_text()


def test_a_log_that_cannot_be_written_does_not_stop_a_worker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")

    configure_logs("info", file=LogFile(tmp_path / "taken" / "worker.log", 1000))

    assert "workers.log_file_refused" in capsys.readouterr().err


def test_a_tail_gives_whole_lines_also_of_a_new_file(tmp_path: Path) -> None:
    file = tmp_path / "worker.log"
    file.write_text("old\n")
    tail = Tail(file)

    with file.open("a") as stream:
        stream.write("one\nha")
    first = tail.new()
    with file.open("a") as stream:
        stream.write("lf\n")
    file.rename(tmp_path / "worker.log.1")
    file.write_text("new\n")
    second = tail.new()
    tail.close()

    assert (first, second) == (["one\n"], ["half\n", "new\n"])


def test_a_tail_waits_for_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "worker.log")
    assert tail.new() == []

    (tmp_path / "worker.log").write_text("first\n")

    assert tail.new() == ["first\n"]
    tail.close()


def test_a_line_shows_its_traceback_below() -> None:
    line = {"run": "r", "node": "a", "event": "x", "level": "error", "exception": "Traceback: y"}

    assert as_text(line, "r").endswith("a  x\nTraceback: y")
    assert is_of(line, "a")
