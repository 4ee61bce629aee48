import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workers.cli import app
from workers.cli.operate import sealed_message
from workers.secrets import secret_keys
from workers.settings import Settings


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STDOPS_DATA_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("args", "given"),
    [(["hunter22"], None), (["-"], "hunter22\n"), ([], "hunter22\r\n")],
    ids=["argument", "dash", "piped"],
)
def test_a_value_is_printed_sealed(args: list[str], given: str | None, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["secret", "seal", *args], input=given)

    assert done.exit_code == 0
    assert "hunter22" not in done.stdout
    sealed: Any = json.loads(done.stdout)
    assert secret_keys(Settings(data_dir=tmp_path)).open(sealed) == "hunter22"


def test_nothing_to_seal_is_refused() -> None:
    done = CliRunner().invoke(app, ["secret", "seal", "-"], input="\n")

    assert done.exit_code == 2
    assert "SOP541 there is no secret to seal" in done.stderr


def test_only_inputs_that_a_plugin_declares_secret_are_sealed_for_a_retry() -> None:
    message: dict[str, Any] = {"node": "a", "set": {"bk_http_request_url": "http://a"}}

    assert sealed_message(message, Settings()) == message
