"""What is said of a history that this build could not take on."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from typer.testing import CliRunner

from stdops import StdopsError
from tests.tools.record_histories import FOLDER
from workers.cli import app
from workers.payloads import DATA_CONVERTER
from workers.replaying import Replayed, read_file, replay

CHAIN = FOLDER / "chain.json"


def changed(folder: Path, old: str, new: str) -> Path:
    text = CHAIN.read_text("utf-8")
    assert old in text
    file = folder / "changed.json"
    file.write_text(text.replace(old, new), "utf-8")
    return file


async def replayed(file: Path) -> Replayed:
    async def one():  # noqa: ANN202  an async generator
        yield read_file(file)

    (found,) = [each async for each in replay(one(), DATA_CONVERTER)]
    return found


async def test_a_recorded_history_replays_under_its_own_name() -> None:
    found = await replayed(CHAIN)

    assert (found.name, found.is_well, found.problem) == ("chain", True, "")
    assert found.events == len(json.loads(CHAIN.read_text("utf-8"))["events"])


async def test_what_differs_is_named_and_how_to_mend_it(tmp_path: Path) -> None:
    found = await replayed(changed(tmp_path, '"activityId": "b:1"', '"activityId": "z:1"'))

    assert found.problem == (
        "this build does something else than was recorded: Activity id of scheduled event 'z:1' "
        "does not match activity id of activity command 'b:1'"
    )
    assert "workflow.patched" in found.fix


async def test_a_history_that_cannot_be_decoded_says_so(tmp_path: Path) -> None:
    encrypted = changed(tmp_path, '"encoding": "anNvbi9wbGFpbg=="', '"encoding": "YmluYXJ5L3g="')

    found = await replayed(encrypted)

    assert not found.is_well
    assert found.problem.startswith("it cannot be replayed: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is no history"),
        ("[]", "it is no history"),
        ('{"events": 1}', "it is no history"),
        ('{"events": [{"eventId": {}}]}', "it is no history"),
    ],
)
def test_a_file_that_is_no_history_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text, "utf-8")

    with pytest.raises(StdopsError, match=reason) as refusal:
        read_file(file)

    assert refusal.value.code == "SOP550"
    assert refusal.value.where == str(file)


def test_the_command_ends_with_one_where_a_history_does_not_replay(tmp_path: Path) -> None:
    bad = changed(tmp_path, '"activityId": "b:1"', '"activityId": "z:1"')

    well = CliRunner().invoke(app, ["replay", str(CHAIN)])
    ill = CliRunner().invoke(app, ["replay", str(CHAIN), str(bad), "--json"])

    assert (well.exit_code, ill.exit_code) == (0, 1)
    assert [one["replays"] for one in json.loads(ill.stdout)] == [True, False]


@pytest.mark.parametrize("words", [["replay"], ["replay", "x", "--running"]])
def test_either_histories_are_named_or_all_that_run_are_meant(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)

    assert result.exit_code == 2
    assert "SOP551" in result.output


def test_a_history_without_a_name_has_that_of_its_file(tmp_path: Path) -> None:
    file = changed(tmp_path, '"workflowId": "chain"', '"x": "chain"')

    assert isinstance(read_file(file), WorkflowHistory)
    assert read_file(file).workflow_id == "changed"
