"""The verbs as commands: one row of a table each."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import (
    JsonFlag,
    NodeName,
    Operator,
    Reason,
    RunId,
    SetValues,
    epilog,
    read_values,
)
from workers.cli.output import Code, await_now, print_json

if TYPE_CHECKING:
    from pydantic import JsonValue

_CODES = (Code.REFUSED, Code.UNREACHABLE)
_ON_RUNS: Mapping[str, str] = {
    "pause": "Start nothing new in a run; what runs goes on.",
    "resume": "Let a paused run go on.",
    "revoke": "Stop a run for good.",
}
_ON_NODES: Mapping[str, str] = {
    "skip": "Pass over a failed node.",
    "force_fail": "Stop a running node and fail it.",
}


def _run_verb(verb: str, about: str) -> None:
    """Make the command of a verb on a run."""

    def command(
        name: RunId,
        *,
        operator: Operator = "",
        reason: Reason = "",
        as_json: JsonFlag = False,
    ) -> None:
        give(name, verb, {}, _Who(operator, reason), as_json=as_json)

    _add(command, verb, about, f"stdops {verb} release-1f2e3d4c")


def _node_verb(verb: str, about: str) -> None:
    """Make the command of a verb on a node."""

    def command(
        name: RunId,
        node: NodeName,
        *,
        operator: Operator = "",
        reason: Reason = "",
        as_json: JsonFlag = False,
    ) -> None:
        give(name, verb, {"node": node}, _Who(operator, reason), as_json=as_json)

    _add(command, verb, about, f"stdops {_spelt(verb)} release-1f2e3d4c deploy")


def _add(command: Any, verb: str, about: str, example: str) -> None:
    command.__doc__ = about
    app.command(_spelt(verb), epilog=epilog(example, codes=_CODES))(command)


def _spelt(verb: str) -> str:
    return verb.replace("_", "-")


class _Who:
    """Who gives a verb, and why."""

    def __init__(self, operator: str, reason: str) -> None:
        self.operator = operator
        self.reason = reason


for _verb, _about in _ON_RUNS.items():
    _run_verb(_verb, _about)
for _verb, _about in _ON_NODES.items():
    _node_verb(_verb, _about)


@app.command(
    epilog=epilog(
        "stdops retry release-1f2e3d4c deploy",
        "stdops retry release-1f2e3d4c deploy --set bk_http_request_url=http://standby/deploy",
        codes=_CODES,
    )
)
def retry(
    name: RunId,
    node: NodeName,
    *,
    given: SetValues = [],  # noqa: B006  typer copies it
    operator: Operator = "",
    reason: Reason = "",
    as_json: JsonFlag = False,
) -> None:
    """Run a failed node again, with --set with other inputs."""
    values = read_values(given)
    if values:
        values = _sealed_inputs(values)
    payload: dict[str, JsonValue] = {"node": node, **({"set": values} if values else {})}
    give(name, "retry", payload, _Who(operator, reason), as_json=as_json)


def _sealed_inputs(values: "Mapping[str, JsonValue]") -> "dict[str, JsonValue]":
    """Seal the inputs that some plugin declares secret: only the run knows which its node calls.

    A sealed value can be used wherever a clear one can.
    """
    from workers.cli.wiring import find_registry
    from workers.secrets import sealed_values, secret_inputs, secret_keys
    from workers.settings import load_settings

    names = secret_inputs(find_registry().traits().values())
    return sealed_values(values, names, secret_keys(load_settings()))


@app.command(
    epilog=epilog(
        """stdops callback release-1f2e3d4c approve --data '{"approved": true}'""", codes=_CODES
    )
)
def callback(
    name: RunId,
    node: NodeName,
    *,
    data: Annotated[str, typer.Option(metavar="JSON", help="What the node is told.")] = "{}",
    operator: Operator = "",
    reason: Reason = "",
    as_json: JsonFlag = False,
) -> None:
    """Answer a node that waits to be called back."""
    try:
        value: JsonValue = json.loads(data)
    except ValueError as error:
        fix = """write it as --data '{"approved": true}'"""
        raise StdopsError("SOP541", f"--data is no JSON ({error})", fix=fix) from None
    payload: dict[str, JsonValue] = {"node": node, "data": value}
    give(name, "callback", payload, _Who(operator, reason), as_json=as_json)


def give(
    run: str, verb: str, payload: "Mapping[str, JsonValue]", who: _Who, *, as_json: bool
) -> None:
    """Give a verb to a run and say where that leads.

    Raises:
        StdopsError: it is refused, or nobody answers.
    """
    answer = await_now(_give(run, verb, payload, who))
    if as_json:
        print_json(answer)
        return
    state = answer.get("state", "")
    sign = typer.style("✓", fg="green")
    typer.echo(f"{sign} {_spelt(verb)} accepted; state of the run: {state}")


async def _give(
    run: str, verb: str, payload: "Mapping[str, JsonValue]", who: _Who
) -> dict[str, Any]:
    from workers.cli.wiring import connected
    from workers.settings import load_settings

    settings = load_settings(operator=who.operator or None)
    connection = await connected(settings)
    told = {**payload, "operator": settings.operator, "reason": who.reason}
    return await connection.runs.verb(run, verb, told)
