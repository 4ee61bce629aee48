import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue

from activities.builtin.script import script
from activities.contract import Done, Failed, Outcome
from activities.steps import TryAgain
from activities.testing import Stage

Table = dict[str, dict[str, JsonValue]]


@pytest.fixture
def settings(tmp_path: Path) -> Table:
    known: JsonValue = {"bash": "/bin/sh", "python": sys.executable}
    return {"script": {"interpreters": known, "folder": str(tmp_path), "max_s": 30}}


async def run(settings: Table, text: str, **more: JsonValue) -> Outcome:
    async with Stage(settings=settings) as stage:
        return await stage.run(script, {"script": text, **more})


def is_running(pid: int) -> bool:
    """Return whether a process does anything; one that ended may still await its parent's look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def becomes(condition: Callable[[], bool]) -> bool:
    """Give the system a moment to bring about what was asked of it."""
    for _ in range(500):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


async def test_no_script_runs_unless_the_settings_say_so() -> None:
    outcome = await run({}, "echo hello")

    assert isinstance(outcome, Failed)
    assert outcome.error == (
        "interpreter 'bash' is not allowed on this worker; allowed: none, so that no script runs "
        "(interpreters in [plugins.script] of the workers' settings)"
    )


async def test_what_it_writes_and_how_it_ends_are_outputs(settings: Table) -> None:
    outcome = await run(
        settings, 'echo "$1 $STDOPS_NODE"; cat; echo 错 >&2', arguments=["七"], stdin="given"
    )

    assert outcome == Done(
        outputs={
            "exit_code": 0,
            "stdout": "七 node\ngiven",
            "stderr": "错\n",
            "truncated": False,
        }
    )


async def test_an_exit_code_that_is_not_expected_fails_with_the_outputs(settings: Table) -> None:
    outcome = await run(settings, "echo so far; echo no disk >&2; exit 3")

    assert isinstance(outcome, Failed)
    assert outcome.error == "the script ended with exit code 3: no disk"
    assert outcome.outputs["stdout"] == "so far\n"


async def test_an_exit_code_that_is_expected_is_a_success(settings: Table) -> None:
    assert isinstance(await run(settings, "exit 3", ok_codes=[0, 3]), Done)


async def test_the_environment_is_what_is_given(
    settings: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKERS_OWN", "secret")

    outcome = await run(settings, 'echo "$COLOUR,$WORKERS_OWN"', environment={"COLOUR": "red"})

    assert outcome.outputs["stdout"] == "red,\n"


async def test_the_end_of_a_long_output_is_kept(settings: Table) -> None:
    text = "print('x' * 1_000_000 + 'end')"
    outcome = await run(settings, text, interpreter="python", max_output_bytes=10)

    assert outcome.outputs["stdout"] == "xxxxxxend\n"
    assert outcome.outputs["truncated"] is True


async def test_its_folder_is_its_own_and_goes_with_it(settings: Table, tmp_path: Path) -> None:
    outcome = await run(settings, "touch made; pwd")

    assert str(outcome.outputs["stdout"]).startswith(str(tmp_path))
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_at_its_limit_it_ends_with_its_children(settings: Table) -> None:
    outcome = await run(settings, "sleep 60 & echo $!; wait", timeout_s=1)

    assert isinstance(outcome, Failed)
    assert outcome.error == "the script was ended after 1 s, its limit"
    pid = int(str(outcome.outputs["stdout"]))
    assert await becomes(lambda: not is_running(pid))


async def test_children_that_it_leaves_behind_end_with_it(settings: Table) -> None:
    outcome = await run(settings, "sleep 60 & echo $!")

    assert isinstance(outcome, Done)
    pid = int(str(outcome.outputs["stdout"]))
    assert await becomes(lambda: not is_running(pid))


async def test_it_ends_when_its_node_is_cancelled(settings: Table, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    running = asyncio.ensure_future(
        run(settings, f"echo $$ > {told}.new; mv {told}.new {told}; sleep 60")
    )
    assert await becomes(told.exists)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    pid = int(told.read_text("utf-8"))
    assert await becomes(lambda: not is_running(pid))


async def test_a_program_that_is_not_there_is_told(settings: Table) -> None:
    settings["script"]["interpreters"] = {"bash": "/nowhere/bash"}

    outcome = await run(settings, "true")

    assert isinstance(outcome, Failed)
    assert "is no program on this worker: /nowhere/bash" in outcome.error


async def test_a_script_that_may_have_run_is_not_run_again(settings: Table) -> None:
    async with Stage(settings=settings) as stage:
        outcome = await stage.call(script, {"script": "true"}, sent_before=True)

    assert not isinstance(outcome, TryAgain)
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("outcome unknown")
