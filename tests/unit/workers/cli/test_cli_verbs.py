import inspect
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stdops import StdopsError
from workers.cli import app
from workers.cli.operate import FIELDS, VERBS, message_of, spelt, tell
from workers.cli.temporal_command import connection_flags
from workers.settings import Settings
from workflows.messages import MESSAGES, read_message

OTHER_WORDS = {"choose": {"branch"}, "set_timer": {"inputs"}}
"""Fields that say in other words what another field of the message says, too."""


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STDOPS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("STDOPS_OPERATOR", "ann")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))


def stdops(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def printed(*args: str) -> list[str]:
    done = stdops(*args, "--print-temporal")
    assert done.exit_code == 0, done.output
    return shlex.split(done.stdout)


def sent(*args: str) -> dict[str, Any]:
    words = printed(*args)
    return json.loads(words[words.index("--input") + 1])


def given(verb: str, **values: Any) -> dict[str, Any]:
    """The values of a command's fields, those left out at their defaults."""
    empty = inspect.Parameter.empty
    defaults = {key: FIELDS[key].default for key in VERBS[verb].fields}
    return {key: value for key, value in defaults.items() if value is not empty} | values


def test_every_verb_is_a_command() -> None:
    assert list(VERBS) == list(MESSAGES)


@pytest.mark.parametrize("verb", VERBS)
def test_every_field_of_a_verb_s_message_can_be_given(verb: str) -> None:
    fields = MESSAGES[verb].model_fields.items()  # pyright: ignore[reportArgumentType]
    wanted = {field.alias or name for name, field in fields} - OTHER_WORDS.get(verb, set())

    common = {"operator", "reason", "request_id", "dry_run"}
    assert wanted == {FIELDS[key].key for key in VERBS[verb].fields} | common


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("pause", "r"), {}),
        (("pause", "r", "sub"), {"node": "sub"}),
        (("skip", "r", "a", "--pass"), {"node": "a", "pass": True}),
        (("retry", "r", "a"), {"node": "a"}),
        (("retry", "r", "a", "--set", "n:=3", "--set", "t=3"), {"set": {"n": 3, "t": "3"}}),
        (("retry", "r", "a", "--inputs", '{"x": [1]}'), {"inputs": {"x": [1]}}),
        (("choose", "r", "g", "e1", "e2"), {"node": "g", "branches": ["e1", "e2"]}),
        (("force-fail", "r", "a", "--reason", "hangs"), {"reason": "hangs"}),
        (("callback", "r", "a"), {"data": {}}),
        (("callback", "r", "a", "--data", "7", "--token", "2"), {"data": 7, "token": 2}),
        (("set-timer", "r", "a", "--seconds", "0"), {"seconds": 0}),
        (("set-timer", "r", "a", "--at", "2026-01-31 08:00:00"), {"at": "2026-01-31 08:00:00"}),
        (("rerun-from", "r", "a", "--request-id", "q"), {"node": "a", "request_id": "q"}),
        (("resume-node", "r", "a", "--dry-run"), {"dry_run": True}),
    ],
)
def test_a_command_fills_the_message_of_its_verb(
    args: tuple[str, ...], message: dict[str, Any]
) -> None:
    told = sent(*args)

    assert told["operator"] == "ann"
    assert told.items() >= message.items()
    name = args[0].replace("-", "_")
    assert not isinstance(read_message(MESSAGES[name], told), str)  # pyright: ignore[reportArgumentType]


def test_the_printed_command_is_for_an_update_and_with_signal_for_a_signal() -> None:
    update, signal = printed("skip", "r 1", "a"), printed("skip", "r 1", "a", "--signal")

    assert update[:6] == ["temporal", "workflow", "update", "execute", "--workflow-id", "r 1"]
    assert signal[:5] == ["temporal", "workflow", "signal", "--workflow-id", "r 1"]
    assert update[-2:] == ["--address", "127.0.0.1:1"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("status", "r"), ["query", "--workflow-id", "r", "--type", "status"]),
        (("variables", "r"), ["query", "--workflow-id", "r", "--type", "variables"]),
        (("graph", "r"), ["query", "--workflow-id", "r", "--type", "diagram"]),
        (("explain", "r"), ["query", "--workflow-id", "r", "--type", "explain"]),
        (("history", "r"), ["show", "--workflow-id", "r", "--output", "json"]),
        (("list", "--state", "Failed"), ["list", "--query"]),
    ],
)
def test_what_only_reads_is_printed_too(args: tuple[str, ...], words: list[str]) -> None:
    assert printed(*args)[2 : 2 + len(words)] == words


def test_flags_tell_only_what_is_not_the_default() -> None:
    assert (
        connection_flags({"target_host": "localhost:7233", "namespace": "default"}, Settings())
        == []
    )

    other = connection_flags(
        {"target_host": "t:1", "namespace": "ops", "tls": True},
        Settings(temporal_profile="prod"),
    )

    assert other == ["--profile", "prod", "--address", "t:1", "--namespace", "ops", "--tls"]


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("set-timer", "r", "a"), "a timer is set by --seconds or by --at"),
        (("set-timer", "r", "a", "--seconds", "1", "--at", "x"), "by --seconds or by --at"),
        (("callback", "r", "a", "--data", "yes"), "--data is no JSON"),
        (("retry", "r", "a", "--inputs", "[1]"), "--inputs is no JSON object"),
        (("retry", "r", "a", "--set", "x"), "'x' is no K=V"),
        (("skip", "r", "a", "--signal", "--dry-run"), "a signal has no answer"),
    ],
)
def test_wrong_use_is_told_before_anything_is_sent(args: tuple[str, ...], what: str) -> None:
    done = stdops(*args)

    assert done.exit_code == 2
    assert what in done.stderr


def test_a_dry_run_says_what_would_happen(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"accepted": True, "dry_run": True, "state": "Running", "would": ["starts 'a' again"]}

    tell("retry", answer)

    shown = capsys.readouterr()
    assert "retry would be accepted; the run would be Running and\n  starts 'a' again" in shown.out
    assert "nothing was done" in shown.err


def test_a_message_leaves_out_what_was_not_given() -> None:
    assert message_of("retry", given("retry", node="a")) == {"node": "a"}


def test_two_times_for_one_timer_are_refused() -> None:
    with pytest.raises(StdopsError, match="SOP541"):
        message_of("set_timer", given("set_timer", node="a", seconds=1.0, at="x"))


def test_a_command_is_spelt_with_a_dash() -> None:
    assert spelt("set_timer") == "set-timer"
