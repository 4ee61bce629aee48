"""The steps of the Dockerfile in a fresh environment, where no builder is at hand."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"


def step(beginning: str, text: str) -> str:
    """Return the command of the one RUN that begins so, on one line."""
    joined = text.replace("\\\n", " ")
    [found] = re.findall(rf"^RUN ({re.escape(beginning)}.*)$", joined, re.MULTILINE)
    return found


@pytest.mark.slow
def test_the_steps_of_the_image_give_a_command_that_works(tmp_path: Path) -> None:
    text = DOCKERFILE.read_text("utf-8")
    app, wheels = tmp_path / "app", tmp_path / "wheels"
    [extras] = re.findall(r"^ARG EXTRAS=(\S+)", text, re.MULTILINE)
    steps = [step("PIP_CONSTRAINT=", text), step("python -m venv", text)]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("STDOPS_")},
        "EXTRAS": extras,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": "",
    }

    for each in steps:
        line = each.replace("/wheels", shlex.quote(str(wheels))).replace("/app", str(app))
        done = subprocess.run(
            ["/bin/sh", "-ec", line], cwd=ROOT, env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
    command, inside = str(app / "bin" / "stdops"), {**environment, "STDOPS_DATA_DIR": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *arguments],
            cwd=tmp_path,
            env=inside,
            capture_output=True,
            text=True,
            check=False,
        )

    assert "--queue" in run("worker", "--help").stdout
    assert run("store", "migrate").returncode == 0
    health = run("health", "--address", "127.0.0.1:1")
    assert (health.returncode, "SOP517" in health.stderr) == (2, True)
    doctor = run("doctor", "--json")
    assert (doctor.returncode, '"evaluates expressions"' in doctor.stdout) == (1, True)
