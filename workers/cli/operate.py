"""The verbs as commands, one row of a table each; and what they print."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import (
    JsonFlag,
    NodeName,
    Operator,
    PrintTemporal,
    Reason,
    RunId,
    SetValues,
    epilog,
    read_values,
)
from workers.cli.output import Code, await_now, print_json, remark

if TYPE_CHECKING:
    from pydantic import JsonValue

    from workers.cli.wiring import Connection
    from workers.settings import Settings

_CODES = (Code.REFUSED, Code.UNREACHABLE)
_RUN: Final = "release-1f2e3d4c"
_DATA_FIX: Final = """write it as --data '{"approved": true}'"""
_INPUTS_FIX: Final = """write it as --inputs '{"url": "http://standby"}'"""


def _read_json(option: str, fix: str) -> Callable[[str], "JsonValue"]:
    """Return a reader of the JSON that an option is given."""

    def read(text: str) -> "JsonValue":
        try:
            return json.loads(text)
        except ValueError as error:
            raise StdopsError("SOP541", f"{option} is no JSON ({error})", fix=fix) from None

    return read


def _same(value: Any) -> Any:
    return value


# --- the table ----------------------------------------------------------------------------------


class Field(NamedTuple):
    """An argument or option: its type, its default, and the key of the message that it fills.

    A value that equals the default is left out of the message, unless it is `always` given.
    """

    kind: Any
    default: Any
    key: str
    read: Callable[[Any], Any] = _same
    always: bool = False


_REQUIRED: Final = inspect.Parameter.empty

FIELDS: Final[Mapping[str, Field]] = {
    "node": Field(NodeName, _REQUIRED, "node"),
    "failed": Field(
        Annotated[
            str, typer.Argument(metavar="[NODE]", help="The node; else the only failed one.")
        ],
        "",
        "node",
    ),
    "flow": Field(
        Annotated[str, typer.Argument(metavar="[NODE]", help="A subflow or child; else the run.")],
        "",
        "node",
    ),
    "given": Field(SetValues, [], "set", read_values),
    "inputs": Field(
        Annotated[
            str,
            typer.Option(metavar="JSON", help="All inputs anew, an object; --set changes some."),
        ],
        "",
        "inputs",
        _read_json("--inputs", _INPUTS_FIX),
    ),
    "this_pass": Field(
        Annotated[
            bool,
            typer.Option("--pass", help="Of a node that loops on itself, only the failed pass."),
        ],
        False,  # noqa: FBT003  a default, as in a signature
        "pass",
    ),
    "whole_loop": Field(
        Annotated[
            bool,
            typer.Option("--pass", help="End the loop of a node that loops on itself, too."),
        ],
        False,  # noqa: FBT003  as above
        "pass",
    ),
    "branches": Field(
        Annotated[
            list[str],
            typer.Argument(metavar="BRANCH", help="Edge ids; one for an exclusive gateway."),
        ],
        _REQUIRED,
        "branches",
    ),
    "data": Field(
        Annotated[str, typer.Option(metavar="JSON", help="What the node is told.")],
        "{}",
        "data",
        _read_json("--data", _DATA_FIX),
        always=True,
    ),
    "token": Field(
        Annotated[
            int | None,
            typer.Option(metavar="ENTRY", help="The start of the node that it answers."),
        ],
        None,
        "token",
    ),
    "seconds": Field(
        Annotated[float | None, typer.Option(help="So many seconds from now; 0 ends the wait.")],
        None,
        "seconds",
    ),
    "at": Field(
        Annotated[str, typer.Option(metavar="TIME", help="A time as '2026-01-31 08:00:00'.")],
        "",
        "at",
    ),
    "values": Field(
        Annotated[list[str], typer.Argument(metavar="K=V", help="Values: K=text, or K:=JSON.")],
        _REQUIRED,
        "values",
        read_values,
    ),
    "subflow": Field(
        Annotated[str, typer.Option(metavar="NODE", help="Variables of a subflow instead.")],
        "",
        "subflow",
    ),
    "operator": Field(Operator, "", "operator"),
    "reason": Field(Reason, "", "reason"),
    "request_id": Field(
        Annotated[str, typer.Option(metavar="ID", help="The same id given again does nothing.")],
        "",
        "request_id",
    ),
    "dry_run": Field(
        Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")],
        False,  # noqa: FBT003  as above
        "dry_run",
    ),
}
_COMMON: Final = ("operator", "reason", "request_id", "dry_run")
_HOW: Final[Mapping[str, Any]] = {
    "as_signal": Annotated[
        bool,
        typer.Option("--signal", help="Send it as a signal, which has no answer."),
    ],
    "as_json": JsonFlag,
    "print_temporal": PrintTemporal,
}
"""Options that say how a verb is given; the message does not hold them."""


class Row(NamedTuple):
    """A verb's command: what it says of itself, its fields, what stands behind RUN in examples."""

    about: str
    fields: tuple[str, ...]
    examples: tuple[str, ...]


VERBS: Final[Mapping[str, Row]] = {
    "pause": Row("Start nothing new in a run; what runs goes on.", ("flow",), ("", "canary")),
    "resume": Row("Let a paused run go on.", ("flow",), ("", "canary")),
    "revoke": Row(
        "Stop a run for good; of a subflow, stop it and leave it failed.", ("flow",), ("",)
    ),
    "skip": Row("Pass over a failed node.", ("failed", "whole_loop"), ("", "deploy")),
    "retry": Row(
        "Run a failed node again, with --set with other inputs.",
        ("failed", "given", "inputs", "this_pass"),
        ("", "deploy --set bk_http_request_url=http://standby/deploy"),
    ),
    "choose": Row("Send a failed gateway on.", ("node", "branches"), ("is_production edge2",)),
    "force_fail": Row("Stop a running node and fail it.", ("node",), ("deploy --reason hangs",)),
    "callback": Row(
        "Answer a node that waits to be called back.",
        ("node", "data", "token"),
        ("""approve --data '{"approved": true}'""",),
    ),
    "pause_node": Row("Hold a node before it starts.", ("node",), ("deploy",)),
    "resume_node": Row("Free a node that is held.", ("node",), ("deploy",)),
    "set_timer": Row(
        "Give a node that waits for a time another one.",
        ("node", "seconds", "at"),
        ("settle --seconds 60", "settle --at '2026-01-31 08:00:00'"),
    ),
    "set_variables": Row(
        "Change variables; nodes that start later see it.",
        ("values", "subflow"),
        ("version=2.4.1", "retries:=3 --subflow canary"),
    ),
    "rerun_from": Row("Start again from an earlier node.", ("node",), ("build",)),
}
"""Every verb, in the order of `workflows.messages.MESSAGES`, which a test compares."""


def spelt(verb: str) -> str:
    """Return a verb as the command line spells it."""
    return verb.replace("_", "-")


def _add(verb: str, row: Row) -> None:
    """Make the command of a verb."""

    def command(name: str, **given: Any) -> None:
        how = {key: given.pop(key) for key in _HOW}
        give(name, verb, message_of(verb, given), **how)

    fields = {key: FIELDS[key] for key in (*row.fields, *_COMMON)}
    kinds = {"name": RunId, **{key: field.kind for key, field in fields.items()}, **_HOW}
    defaults = {key: field.default for key, field in fields.items()} | dict.fromkeys(_HOW, False)
    command.__doc__ = row.about
    command.__annotations__ = dict(kinds)
    command.__signature__ = inspect.Signature(
        [_parameter(key, kind, defaults.get(key, _REQUIRED)) for key, kind in kinds.items()]
    )
    examples = [f"stdops {spelt(verb)} {_RUN} {example}".strip() for example in row.examples]
    app.command(spelt(verb), epilog=epilog(*examples, codes=_CODES))(command)


def _parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


for _verb, _row in VERBS.items():
    _add(_verb, _row)


# --- giving -------------------------------------------------------------------------------------


def message_of(verb: str, given: Mapping[str, Any]) -> "dict[str, JsonValue]":
    """Return the message of a verb, from the values of its command's fields.

    Raises:
        StdopsError: a value cannot be read, or two of them exclude each other (SOP541).
    """
    if verb == "set_timer" and (given["seconds"] is None) == (not given["at"]):
        raise StdopsError(
            "SOP541", "a timer is set by --seconds or by --at", fix="give one of the two"
        )
    message: dict[str, JsonValue] = {}
    for name, value in given.items():
        field = FIELDS[name]
        if field.always or value != field.default:
            message[field.key] = field.read(value)
    if not isinstance(message.get("inputs", {}), dict):
        raise StdopsError("SOP541", "--inputs is no JSON object", fix=_INPUTS_FIX)
    return message


def give(
    run: str,
    verb: str,
    message: "dict[str, JsonValue]",
    *,
    as_signal: bool = False,
    as_json: bool = False,
    print_temporal: bool = False,
) -> None:
    """Give a verb to a run and say where that leads.

    Raises:
        StdopsError: it is refused, or nobody answers.
    """
    if as_signal and message.get("dry_run"):
        fix = "leave out --signal: an update answers"
        raise StdopsError("SOP541", "a signal has no answer, so it has no dry run", fix=fix)
    answer = await_now(
        _give(run, verb, message, as_signal=as_signal, print_temporal=print_temporal)
    )
    if answer is None:
        return
    if as_json:
        print_json(answer)
    else:
        tell(verb, answer)


def tell(verb: str, answer: Mapping[str, Any]) -> None:
    """Print the answer of a verb: where it led, or with a dry run where it would."""
    sign, state = typer.style("✓", fg="green"), answer.get("state", "")
    if not answer.get("dry_run"):
        typer.echo(f"{sign} {spelt(verb)} accepted; state of the run: {state}")
        return
    typer.echo(f"{sign} {spelt(verb)} would be accepted; the run would be {state} and")
    for line in answer.get("would") or ["nothing else would happen at once"]:
        typer.echo(f"  {line}")
    remark("nothing was done (--dry-run)")


async def _give(
    run: str, verb: str, message: "dict[str, JsonValue]", *, as_signal: bool, print_temporal: bool
) -> dict[str, Any] | None:
    """Give a verb; None where there is no answer to tell."""
    from workers.cli.wiring import connected
    from workers.settings import load_settings

    settings = load_settings(operator=str(message.get("operator") or "") or None)
    told: dict[str, JsonValue] = {**message, "operator": settings.operator}
    if print_temporal and verb != "set_variables":
        _print(settings, run, verb, sealed_message(told, settings), as_signal=as_signal)
        return None
    connection = await connected(settings)
    told = sealed_message(await _sealed_variables(connection, run, told), settings)
    if print_temporal:
        _print(settings, run, verb, told, as_signal=as_signal)
        return None
    if as_signal:
        await connection.runs.signal(run, verb, told)
        remark(f"sent; what became of it: `stdops history {run} --audit`")
        return None
    return await connection.runs.verb(run, verb, told)


def _print(
    settings: "Settings",
    run: str,
    verb: str,
    message: "Mapping[str, JsonValue]",
    *,
    as_signal: bool,
) -> None:
    from workers.cli.temporal_command import show, signal, update

    show(settings, (signal if as_signal else update)(run, verb, message))


# --- secrets ------------------------------------------------------------------------------------


def sealed_message(message: "dict[str, JsonValue]", settings: "Settings") -> "dict[str, JsonValue]":
    """Seal the inputs that some plugin declares secret: only the run knows which its node calls.

    A sealed value can be used wherever a clear one can.
    """
    given = [key for key in ("set", "inputs") if message.get(key)]
    if not given:
        return message
    from workers.cli.wiring import find_registry
    from workers.secrets import sealed_values, secret_inputs, secret_keys

    names, keys = secret_inputs(find_registry().traits().values()), secret_keys(settings)
    sealed: dict[str, JsonValue] = {}
    for key in given:
        values = message[key]
        sealed[key] = sealed_values(values, names, keys) if isinstance(values, dict) else values
    return {**message, **sealed}


async def _sealed_variables(
    connection: "Connection", run: str, message: "dict[str, JsonValue]"
) -> "dict[str, JsonValue]":
    """Seal the values of variables that are secret in the run."""
    values = message.get("values")
    if not isinstance(values, dict):
        return message
    from workers.secrets import sealed_values, secret_keys
    from workflows.machine.view import Variables

    known = Variables.model_validate(await connection.runs.query(run, "variables"))
    names = {each.key for flow in known.flows for each in flow.variables if each.secret}
    return {**message, "values": sealed_values(values, names, secret_keys(connection.settings))}
