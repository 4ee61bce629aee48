"""The bench on the real server: both sides in one run, a guest too, and nothing left behind."""

import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from workers.server import server_binary

ROOT: Final = Path(__file__).resolve().parents[2]
MARK: Final = "BENCH_UNDER_TEST"
GUEST: Final = "tests.helpers.bench_guest"

pytestmark = pytest.mark.skipif(server_binary() is None, reason="the server binary is missing")


def bench(*arguments: str, mark: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench", "--quick", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, MARK: mark},
    )


def marked_processes(mark: str) -> list[str]:
    """The processes that inherited the mark: the bench's own, its server and its workers."""
    wanted, found = f"{MARK}={mark}".encode(), list[str]()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().decode())
        except OSError:  # it has ended, or is another's
            continue
    return found


def test_both_sides_run_a_shape_beside_a_guest_and_one_that_fails(tmp_path: Path) -> None:
    file, plot = tmp_path / "bench.json", tmp_path / "bench.svg"
    guests = ("--contestant", f"{GUEST}:play", "--contestant", f"{GUEST}:fail")

    running = bench("--shape", "nested", "--json", str(file), "--plot", str(plot), *guests)
    out, _ = running.communicate()

    told: dict[str, Any] = json.loads(file.read_text("utf-8"))
    assert running.returncode == 1  # one could not be measured
    assert [(row["contestant"], row["kind"], row["nodes"]) for row in told["rows"]] == [
        ("stdops", "activity", 40),
        ("by hand", "activity", 40),
        (f"{GUEST}:play", "activity", 40),
        ("stdops", "quick", 40),
        ("stdops", "inline", 40),
    ]
    ours, hand, *_ = told["rows"]
    assert ours["events"] > hand["events"] > 6
    assert ours["rss_peak_mb"] >= ours["rss_after_mb"] > 0
    assert len(told["failures"]) == 3
    assert "no server of mine" in told["failures"][0]
    assert "10 nested subflows" in out
    assert plot.read_text("utf-8").startswith("<svg")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_interrupted_bench_tells_what_it_has_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file, mark = tmp_path / "bench.json", secrets.token_hex(8)
    running = bench("--shape", "nested", "--shape", "crowd", "--json", str(file), mark=mark)
    assert running.stderr is not None
    told = iter(running.stderr.readline, "")
    assert any("nested subflows, activity: by hand" in line for line in told)
    assert any("bench.our_worker" in each for each in marked_processes(mark))

    running.send_signal(signal.SIGINT)
    out, _ = running.communicate()

    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    assert running.returncode == 130
    assert (found["complete"], found["rows"][1]["contestant"]) == (False, "by hand")
    assert "10 nested subflows" in out
    assert marked_processes(mark) == []
