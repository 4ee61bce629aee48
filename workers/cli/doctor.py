"""Commands that look after an installation: `doctor` and `health`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stdops import SettingsError, StdopsError
from workers.cli.app import app
from workers.cli.options import JsonFlag, epilog
from workers.cli.output import Code, await_now, end, plain, print_json, remark, show_table, table

if TYPE_CHECKING:
    from workers.doctor.findings import Finding
    from workers.settings import Settings

_SIGNS: Final = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failure": ("✗", "red"),
    "skipped": ("-", "bright_black"),
}
_ANSWER_S: Final = 5.0
_OK: Final = 200


@app.command(
    epilog=epilog(
        "stdops doctor",
        "stdops doctor --json",
        "stdops doctor --settings",
        codes=[Code.ERRORS, Code.REFUSED],
    )
)
def doctor(
    *,
    all_settings: Annotated[
        bool, typer.Option("--settings", help="List every setting, its value and its origin.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Look at the whole installation, and say what mends what is wrong.

    Changes nothing. Exit code 1 says that something keeps runs from going on.
    """
    from workers.doctor import examine
    from workers.logs import configure_logs

    configure_logs("error")
    settings, found = _settings()
    if settings is not None and not all_settings:
        found = await_now(examine(settings))
    if as_json:
        print_json(_as_object(settings, found))
    elif all_settings and settings is not None:
        _show_settings(settings)
    else:
        _show(found)
    end(Code.ERRORS if any(each.state == "failure" for each in found) else Code.OK)


def _settings() -> "tuple[Settings | None, list[Finding]]":
    """Return the settings; wrong ones are the finding that leaves nothing else to look at."""
    from workers.doctor.findings import failure
    from workers.settings import load_settings

    try:
        return load_settings(), []
    except SettingsError as error:
        why = "nothing starts with them"
        return None, [failure("settings", error.what, why, error.fix, error.where)]


def _as_object(settings: "Settings | None", found: "Sequence[Finding]") -> dict[str, Any]:
    from workers.settings import describe

    listed = describe(settings) if settings else []
    return {
        "ok": all(each.state != "failure" for each in found),
        "checks": [each._asdict() for each in found],
        "settings": {each.name: {"value": each.value, "origin": each.origin} for each in listed},
    }


def _show(found: "Sequence[Finding]") -> None:
    made = table("", "CHECK", "WHAT", narrow=("", "CHECK"))
    for each in found:
        sign, colour = _SIGNS[each.state]
        where = f" ({each.where})" if each.where else ""
        lines = [f"{each.what}{where}", *filter(None, (each.why, each.fix and f"→ {each.fix}"))]
        cells = plain([sign, each.check, "\n".join(lines)])
        cells[0].stylize(colour)
        made.add_row(*cells)
    show_table(made)
    count = {state: sum(each.state == state for each in found) for state in _SIGNS}
    remark(f"\n{count['failure']} failures, {count['warning']} warnings, {count['ok']} ok")


def _show_settings(settings: "Settings") -> None:
    from workers.settings import describe

    made = table("SETTING", "VALUE", "FROM", narrow=("SETTING",))
    for each in describe(settings):
        made.add_row(*plain([each.name, each.value, each.origin]))
    show_table(made)


@app.command(
    epilog=epilog(
        "stdops health", "stdops health --ready --address 127.0.0.1:8236", codes=[Code.REFUSED]
    )
)
def health(
    *,
    address: Annotated[
        str, typer.Option(help="HOST:PORT to ask; STDOPS_HEALTH_ADDRESS by default.")
    ] = "",
    ready: Annotated[bool, typer.Option("--ready", help="Ask whether it can work now.")] = False,
) -> None:
    """Ask a worker or receiver of this machine whether it is alive; for a container's check."""
    from workers.settings import load_settings

    asked = address or load_settings().health_address
    if not asked:
        what = "no health address is set, so there is nobody to ask"
        fix = "set STDOPS_HEALTH_ADDRESS for the worker, or give --address"
        raise SettingsError("SOP511", what, where="STDOPS_HEALTH_ADDRESS", fix=fix)
    status, body = _asked(asked, "/readyz" if ready else "/healthz")
    typer.echo(body)
    if status != _OK:
        fix = "mend what it names; `stdops doctor` looks at the whole"
        raise StdopsError("SOP517", f"it answers {status}", where=asked, fix=fix)


def _asked(address: str, path: str) -> tuple[int, str]:
    """Return the status and the body of an answer of our own process.

    Raises:
        SettingsError: the address is none (SOP511).
        StdopsError: nothing answers (SOP517).
    """
    from http.client import HTTPConnection, HTTPException

    from workers.settings import read_listener

    try:
        host, port = read_listener(address)
    except ValueError as error:
        raise SettingsError("SOP511", str(error), where=address, fix="") from None
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  asked, not bound
    connection = HTTPConnection(everywhere.get(host, host), port, timeout=_ANSWER_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        what = f"nothing answers: {error or type(error).__name__}"
        fix = "look at the process's log; a supervisor starts it again"
        raise StdopsError("SOP517", what, where=address, fix=fix) from None
    finally:
        connection.close()
