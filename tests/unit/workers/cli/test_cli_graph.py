from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stdops import StdopsError
from workers.cli import app, graph
from workers.cli.follow import footer, headline
from workers.demo.release import template


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STDOPS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")


@pytest.fixture
def stored(tmp_path: Path) -> str:
    """The key of a template in the store."""
    file = tmp_path / "release.json"
    file.write_bytes(template())
    assert stdops("import", str(file)).exit_code == 0
    return "release"


def stdops(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def runs_are(monkeypatch: pytest.MonkeyPatch, *, known: bool) -> None:
    async def is_known(name: str) -> bool:
        if not known:
            raise StdopsError("SOP504", f"unknown run {name!r}", fix="did you mean 'release-1'?")
        return True

    monkeypatch.setattr(graph, "_is_known", is_known)


def test_a_stored_template_is_drawn_without_a_server(stored: str) -> None:
    assert "发布通知 Announce" in stdops("graph", stored).stdout


def test_a_name_of_both_is_to_be_told_apart(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runs_are(monkeypatch, known=True)

    unclear, clear = stdops("graph", stored), stdops("graph", stored, "--template")

    assert unclear.exit_code == 2
    assert "is a stored template and a run, too" in unclear.stderr
    assert "--template or --run" in unclear.stderr
    assert clear.exit_code == 0


def test_a_name_of_neither_gets_the_runs_that_come_near(monkeypatch: pytest.MonkeyPatch) -> None:
    runs_are(monkeypatch, known=False)

    done = stdops("graph", "relase-1")

    assert done.exit_code == 2
    assert "neither a file nor a template here, nor a run; did you mean 'release-1'?" in done.stderr


def test_without_a_server_it_is_said_that_nobody_could_be_asked() -> None:
    done = stdops("graph", "release-1")

    assert "no server answers whether it is a run" in done.stderr


def test_a_file_that_is_not_there_is_no_run() -> None:
    assert "there is no file 'gone.json'" in stdops("graph", "gone.json").stderr


def test_below_the_picture_stands_what_has_failed_and_the_command_for_it() -> None:
    nodes: list[Any] = [
        {"name": name.upper(), "path": name, "reason": "no", "verbs": ["retry", "skip"]}
        for name in "abc"
    ]

    assert footer("r", {"failed": nodes}) == [
        "✗ A (a): no",
        "✗ B (b): no",
        "  stdops retry r a",
        "  stdops retry r b",
        "  and 1 more have failed",
    ]
    assert footer("r", {}) == []


def test_a_headline_says_that_no_worker_answers() -> None:
    assert headline({"state": "Running", "reason": "no worker answers"}).endswith(
        "no worker answers"
    )
