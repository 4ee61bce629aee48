"""The command `plugins call`: one plugin, called from here, without a Temporal server.

It does what a node would do: the same steps, the same waits, the same limits, real requests. The
outside is given an address for callbacks where nobody listens: what it answers is given by hand.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from stdops import StdopsError
from workers.cli.options import JsonFlag, SetValues, epilog, read_inputs_file, read_values
from workers.cli.output import Code, await_now, complain, end, print_json, remark
from workers.cli.plugins import PluginCode, find_plugin, plugins

if TYPE_CHECKING:
    from pydantic import JsonValue

    from activities.contract import PluginCall, Polling, Waiting
    from activities.expressions.opening import Opening
    from activities.sdk import AnyPlugin
    from activities.steps import Ports, StepResult, TryAgain
    from activities.walk import Answered
    from workers.settings import Settings

NOWHERE: Final = "https://nobody-listens.invalid"
"""Where an outside would call back, had it to; a name that means nothing anywhere."""

_TTL_S: Final = 3600
_ENDS: Final = {"done": Code.OK, "failed": Code.ERRORS}
_MARKS: Final = {"done": ("✓", "green"), "failed": ("✗", "red")}


@plugins.command(
    epilog=epilog(
        "stdops plugins call http_request --set url=https://example.com/",
        "stdops plugins call ask --set question='Go on?' --callback '{\"answer\": \"yes\"}'",
        "stdops plugins call deploy --version v2 --inputs inputs.yaml --json",
        codes=[Code.ERRORS, Code.REFUSED, Code.STANDING, Code.INTERRUPTED],
    )
)
def call(  # noqa: PLR0913  a command's options
    code: PluginCode,
    *,
    version: Annotated[str, typer.Option(help="The last one found by default.")] = "",
    given: SetValues = [],  # noqa: B006  typer copies it
    inputs: Annotated[
        str, typer.Option(metavar="JSON|FILE", help="Inputs as a JSON object, or a file with one.")
    ] = "",
    context: Annotated[
        str,
        typer.Option(metavar="JSON|FILE", help="What a run tells its plugins, such as operator."),
    ] = "",
    callback: Annotated[
        list[str],
        typer.Option(metavar="JSON", help="What the outside calls back with; one for each time."),
    ] = [],  # noqa: B006
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the end, or take one step.")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Call a plugin from here, without a server: real requests, real waiting.

    A callback is given by --callback, or asked for at a terminal. Ctrl-C lets the plugin stop its
    work outside. Values are taken as they are: no ${...} in them is evaluated. Exit code 1 says
    that the plugin failed, 3 that its work goes on.
    """
    from activities.registry import discover
    from workers.logs import configure_logs
    from workers.settings import load_settings

    settings = load_settings()
    configure_logs(settings.log_level, as_json=settings.log_json)
    plugin = find_plugin(discover(), code, version)
    values = {**_object(inputs, "--inputs"), **read_values(given)}
    told = {"operator": settings.operator, **_object(context, "--context")}
    message = _message(plugin, _with_secrets(plugin, values), told)
    answers = [_json(text, "--callback") for text in callback]
    end(await_now(_call(settings, plugin, message, answers, wait=wait, as_json=as_json)))


def _message(
    plugin: "AnyPlugin", inputs: "Mapping[str, JsonValue]", context: "Mapping[str, JsonValue]"
) -> "PluginCall":
    from activities.contract import PluginCall

    return PluginCall(
        plugin=plugin.ref,
        # another word each time: the outside may know the idempotency key of an earlier call
        run=f"call-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}",
        node="node",
        entry=1,
        name=plugin.name,
        inputs=dict(inputs),
        context=dict(context),
    )


async def _call(
    settings: "Settings",
    plugin: "AnyPlugin",
    message: "PluginCall",
    answers: "Sequence[JsonValue]",
    *,
    wait: bool,
    as_json: bool,
) -> Code:
    """Call the plugin, print what comes of it, and return how the command ends."""
    from activities.callbacks import CallbackUrls
    from activities.expressions.opening import opening
    from activities.expressions.secrets import Keys
    from activities.shelf import Shelf
    from activities.steps import Ports
    from workers.secrets import secret_keys
    from workers.worker import http_client

    began = datetime.now(UTC)
    shelf = Shelf(settings.plugins, CallbackUrls(NOWHERE, Keys.fresh(), _TTL_S))
    with opening(secret_keys(settings)) as secrets:
        first = secrets.open_call(message)
        for name in plugin.traits.secrets:
            secrets.remember(first.inputs.get(name))
        async with http_client(settings) as http:
            ports = Ports(http, shelf, lambda: datetime.now(UTC), _teller(secrets))
            result = await _Caller(plugin, first, ports, answers).run(wait=wait)
        took_s = (datetime.now(UTC) - began).total_seconds()
        found = _as_data(result, secrets, took_s)
    if as_json:
        print_json(found)
    else:
        _show(found)
    return _ENDS.get(found["outcome"], Code.STANDING)


class _Caller:
    """Takes the steps of one call, waits as long as they ask, and asks a person for callbacks."""

    def __init__(
        self,
        plugin: "AnyPlugin",
        first: "PluginCall",
        ports: "Ports",
        answers: "Sequence[JsonValue]",
    ) -> None:
        self._plugin = plugin
        self._first = first
        self._ports = ports
        self._answers = list(answers)
        self._under_way: Polling | Waiting | None = None
        self._note = ""

    async def run(self, *, wait: bool) -> "StepResult":
        """Take all steps, or the first; stop the work outside when this is interrupted."""
        import asyncio

        from activities.walk import walk

        try:
            return await (walk(self._first, self) if wait else self.take(self._first))
        except asyncio.CancelledError:
            await self._stop()
            raise

    async def take(self, message: "PluginCall") -> "StepResult":
        """Take one step, and remember what it would take to stop its work."""
        from activities.contract import Polling, Waiting
        from activities.steps import finishing, take_step

        step = take_step(self._plugin, message, self._ports)
        result = await (finishing(step) if message.step == "call" else step)
        if isinstance(result, Polling | Waiting):
            self._under_way = result
            _end_if_interrupted()
        if result.note not in ("", self._note):
            self._note = result.note
            remark(f"note      {result.note}")
        return result

    async def pause(self, result: "Polling | TryAgain", seconds: float) -> None:
        """Wait, and say why."""
        import asyncio

        what = getattr(result, "what", "the work goes on outside")
        told = "still running" if getattr(result, "kind", "") == "still_running" else what
        remark(f"waiting   {told}; next look in {seconds:g} s")
        await asyncio.sleep(seconds)

    async def answer(self, waiting: "Waiting") -> "Answered | None":
        """Return the next callback: one that was given, else what a person says it would be."""
        from activities.walk import Answered

        del waiting
        if self._answers:
            return Answered(self._answers.pop(0))
        if not sys.stdin.isatty():
            remark("waiting   for a callback; give what it would be by --callback JSON")
            return None
        while True:
            remark("waiting   for a callback: what would it be, as JSON? (Ctrl-C stops)")
            text = await _line()
            if not text:  # the end of what can be typed
                return None
            try:
                return Answered(_json(text, "callback"))
            except StdopsError as wrong:
                complain(str(wrong))

    async def _stop(self) -> None:
        """Ask the plugin to stop its work outside, where it has begun and can be stopped."""
        from activities.steps import take_step

        if self._under_way is None:
            remark("\ninterrupted before the outside had answered: look there what it has taken")
        elif self._plugin.stop_fn is None:
            remark("\ninterrupted; the plugin has no stop hook: its work outside goes on")
        else:
            handle = self._under_way.handle
            message = self._first.model_copy(update={"step": "stop", "handle": handle})
            ended = await take_step(self._plugin, message, self._ports)
            trouble = getattr(ended, "error", "") or getattr(ended, "what", "")
            remark(f"\ninterrupted; {trouble or 'the work outside was told to stop'}")


def _end_if_interrupted() -> None:
    """End where Ctrl-C came during a step that told all the same what it had started.

    Raises:
        asyncio.CancelledError: it did.
    """
    import asyncio

    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


# --- what is given ----------------------------------------------------------------------------


def _object(text: str, option: str) -> "dict[str, JsonValue]":
    """Return the object in a JSON text, or in the file that is named; empty for "".

    Raises:
        StdopsError: it is neither (SOP541).
        OSError: the file cannot be read.
    """
    if not text.lstrip().startswith("{"):
        return read_inputs_file(Path(text) if text else None)
    return cast("dict[str, JsonValue]", _json(text, option))  # it begins as an object does


def _json(text: str, option: str) -> Any:  # Any: JSON enters here
    try:
        return json.loads(text)
    except ValueError as error:
        fix = 'write it as JSON, such as {"answer": "yes"} or "yes"'
        raise StdopsError("SOP541", f"no JSON: {error}", where=option, fix=fix) from None


def _with_secrets(plugin: "AnyPlugin", given: "Mapping[str, JsonValue]") -> "dict[str, JsonValue]":
    """Ask for secret inputs that are required and missing, unseen, where a person can answer."""
    from activities.registry import facts_of

    needed = [each.name for each in facts_of(plugin).inputs if each.required]
    missing = [name for name in plugin.traits.secrets if name in needed and name not in given]
    asked = missing if sys.stdin.isatty() else []
    return {**given, **{name: typer.prompt(name, hide_input=True, err=True) for name in asked}}


async def _line() -> str:
    """Return a line of the terminal; unlike a thread that reads, it gives way to Ctrl-C."""
    import asyncio

    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str] = loop.create_future()
    loop.add_reader(sys.stdin, lambda: typed.done() or typed.set_result(sys.stdin.readline()))
    try:
        return await typed
    finally:
        loop.remove_reader(sys.stdin)


# --- what is told -----------------------------------------------------------------------------


def _teller(secrets: "Opening") -> Any:  # Any: the callable that a call reports to
    def tell(details: "Mapping[str, JsonValue]") -> None:
        shown = json.dumps(secrets.masked(details), ensure_ascii=False)
        remark(f"progress  {shown}")

    return tell


def _as_data(result: "StepResult", secrets: "Opening", took_s: float) -> dict[str, Any]:
    from translator.values import without_sealed

    outputs = {k: without_sealed(v) for k, v in secrets.masked(result.outputs).items()}
    return {
        "outcome": result.kind,
        "outputs": outputs,
        "error": secrets.mask_text(getattr(result, "error", "") or getattr(result, "what", "")),
        "note": result.note,
        "handle": secrets.mask(getattr(result, "handle", None)),
        "took_s": round(took_s, 1),
    }


def _show(found: Mapping[str, Any]) -> None:
    mark, colour = _MARKS.get(found["outcome"], ("●", "yellow"))
    typer.echo(f"{typer.style(mark, fg=colour)} {found['outcome']} after {found['took_s']:g} s")
    for name, value in found["outputs"].items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        typer.echo(f"  {name} = {text}")
    if found["error"]:
        complain(found["error"])
    if found["handle"] is not None:
        remark(f"its work goes on outside, handle {json.dumps(found['handle'])}")
