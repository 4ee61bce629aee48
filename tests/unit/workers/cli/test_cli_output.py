"""How commands end, and what is never shown to a user."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stdops import Diagnostic, OperationRefused, StdopsError, TranslationError
from workers.cli import app
from workers.cli.options import read_values
from workers.cli.output import Code, exit_code
from workers.cli.reference import reference

ROOT = Path(__file__).resolve().parents[4]
HEAVY = ("temporalio", "pydantic", "httpx", "sqlalchemy", "rich", "asyncio")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TranslationError([Diagnostic("SOP001", "error", "a", "b")]), Code.ERRORS),
        (OperationRefused("SOP300", "no"), Code.REFUSED),
        (StdopsError("SOP503", "no server"), Code.UNREACHABLE),
        (StdopsError("SOP505", "no worker"), Code.UNREACHABLE),
        (StdopsError("SOP507", "failed"), Code.ERRORS),
        (StdopsError("SOP511", "wrong"), Code.REFUSED),
        (FileNotFoundError(2, "none", "x"), Code.REFUSED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_has_its_exit_code(error: StdopsError | OSError, code: Code) -> None:
    assert exit_code(error) is code


def test_a_fault_of_ours_is_one_line_and_a_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_name: str) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("workers.cli.templates.read_source", broken)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    result = CliRunner().invoke(app, ["lint", "x.json"])

    assert result.exit_code == 1
    assert "SOP599" in result.stderr
    assert "ZeroDivisionError: a bug" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" in (tmp_path / "stdops-error.log").read_text("utf-8")


def test_debug_shows_the_traceback() -> None:
    result = CliRunner().invoke(app, ["--debug", "lint", "none.json"])

    assert "error SOP540" in result.stderr


def test_a_server_that_is_away_is_exit_code_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")

    result = CliRunner().invoke(app, ["pause", "some-run"])

    assert result.exit_code == 4
    assert result.stderr.startswith("error SOP503 ")


def test_text_stays_text_and_json_is_asked_for() -> None:
    assert read_values(["version=1.10", "n:=3", "list:=[1]", "url=http://x/?a=b"]) == {
        "version": "1.10",
        "n": 3,
        "list": [1],
        "url": "http://x/?a=b",
    }


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from workers.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_has_examples_and_exit_codes() -> None:
    for command in reference().split("\n## stdops ")[1:]:
        assert "Examples:" in command
        assert "Exit codes:" in command


def test_the_reference_is_up_to_date() -> None:
    file = ROOT / "docs" / "cli.md"

    assert file.read_text("utf-8") == reference(), (
        "run python -m workers.cli.reference > docs/cli.md"
    )
