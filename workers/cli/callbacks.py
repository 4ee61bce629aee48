"""Commands around callbacks that come by HTTP: the receiver, and what it keeps."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import JsonFlag, epilog
from workers.cli.output import (
    Code,
    Commands,
    await_now,
    end,
    plain,
    print_json,
    remark,
    short,
    show_table,
    table,
)

if TYPE_CHECKING:
    from workers.receiver.courier import Next
    from workers.settings import Settings
    from workers.store import Callback, Store

callbacks = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Look at callbacks that came by HTTP, and deliver them again.",
    rich_markup_mode=None,
)
_EPILOG: Final = epilog(
    "stdops callbacks list release-1f2e3d4c",
    "stdops callbacks list --state dead --json",
    codes=[Code.REFUSED],
)
app.add_typer(callbacks, name="callbacks", epilog=_EPILOG)


class State(StrEnum):
    """What became of a callback."""

    RECEIVED = "received"
    DELIVERED = "delivered"
    REFUSED = "refused"
    DEAD = "dead"


@callbacks.callback()
def _group() -> None:
    """Look at callbacks that came by HTTP, and deliver them again."""


# --- receiver ---------------------------------------------------------------------------------


@app.command(
    epilog=epilog(
        "stdops receiver",
        "STDOPS_CALLBACK_URL=https://ops.example.com stdops receiver --host 0.0.0.0",
        codes=[Code.REFUSED],
    )
)
def receiver(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on; 8234 by default.")
    ] = None,
) -> None:
    """Take callbacks by HTTP, keep them, and deliver them, until Ctrl-C.

    Works while Temporal is away: what comes meanwhile is kept.
    """
    from workers.logs import configure_logs
    from workers.settings import load_settings
    from workers.store import Store

    settings = load_settings(receiver_host=host, receiver_port=port)
    configure_logs(settings.log_level, as_json=settings.log_json)
    if not settings.callback_url:
        remark("STDOPS_CALLBACK_URL is not set: plugins hand out no address until it is")
    with Store.open(settings.store_url) as store:
        await_now(_receive(settings, store))


async def _receive(settings: "Settings", store: "Store") -> None:
    import asyncio

    from workers.cli.wiring import instrumented
    from workers.client import connect
    from workers.receiver.serving import receiving
    from workers.secrets import secret_keys
    from workers.worker import stop_on_signals

    stop = asyncio.Event()
    async with instrumented(settings), stop_on_signals(stop):
        client = await connect(settings, lazy=True)
        async with receiving(client, settings, store, secret_keys(settings)) as address:
            typer.echo(f"{typer.style('✓', fg='green')} receiver  {address}/callback/<token>")
            await stop.wait()


# --- what is kept -----------------------------------------------------------------------------


@callbacks.command("list", epilog=_EPILOG)
def list_callbacks(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="Only those of a run.")] = "",
    *,
    state: Annotated[list[State], typer.Option(help="Only those in a state.")] = [],  # noqa: B006
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Show what came, and what became of it."""
    from workers.settings import load_settings
    from workers.store import Store

    with Store.open(load_settings().store_url) as store:
        found = store.inbox.find(run, [each.value for each in state], limit)
    if as_json:
        print_json([as_object(one) for one in found])
    elif not found:
        remark("no callbacks")
    else:
        _show(found)


def as_object(callback: "Callback") -> dict[str, Any]:
    """Return a callback as the JSON that is printed."""
    return {
        "id": callback.id,
        **callback.execution._asdict(),
        "state": callback.state,
        "reason": callback.reason,
        "received_at": callback.received_at.isoformat(),
        "settled_at": callback.settled_at.isoformat() if callback.settled_at else None,
        "attempts": callback.attempts,
        "copies": callback.copies,
        "data": callback.data,
    }


def _show(found: "Sequence[Callback]") -> None:
    made = table("ID", "RECEIVED", "RUN", "NODE", "STATE", "WHY", narrow=("ID", "STATE"))
    for one in found:
        run, node, entry = one.execution
        at = one.received_at.astimezone().strftime("%m-%d %H:%M:%S")
        times = f"{one.state} ×{one.copies}" if one.copies > 1 else one.state
        cells = [str(one.id), at, run, f"{node} #{entry}", times, short(one.reason)]
        made.add_row(*plain(cells))
    show_table(made)


@callbacks.command(
    epilog=epilog(
        "stdops callbacks redeliver 41 42",
        "stdops callbacks redeliver --run release-1f2e3d4c",
        codes=[Code.REFUSED, Code.UNREACHABLE],
    )
)
def redeliver(
    numbers: Annotated[
        list[int], typer.Argument(metavar="[ID]...", help="Numbers, as `list` shows them.")
    ] = [],  # noqa: B006  typer copies it
    *,
    run: Annotated[str, typer.Option(help="All of a run that were not delivered.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Deliver callbacks again, now."""
    from workers.settings import load_settings
    from workers.store import Store

    settings = load_settings()
    with Store.open(settings.store_url) as store:
        chosen = _chosen(store, numbers, run)
        ends = await_now(_redeliver(settings, store, chosen))
    if as_json:
        print_json([{"id": k, "state": v.state, "reason": v.reason} for k, v in ends.items()])
    else:
        for number, follows in ends.items():
            typer.echo(f"{number}  {follows.state}  {follows.reason}".rstrip())
    if any(follows.state != "delivered" for follows in ends.values()):
        end(Code.REFUSED)


def _chosen(store: "Store", numbers: Sequence[int], run: str) -> "list[Callback]":
    """Return the callbacks that were named.

    Raises:
        StdopsError: there is none, or one holds nothing to deliver (SOP541).
    """
    found = {number: store.inbox.get(number) for number in numbers}
    if run:
        found |= {one.id: one for one in store.inbox.find(run) if _is_left(one)}
    fix = "`stdops callbacks list` shows those that are there"
    missing = [str(number) for number, one in found.items() if one is None]
    if missing or not found:
        what = f"there is no callback {', '.join(missing)}" if missing else "no callbacks"
        raise StdopsError("SOP541", what, fix=fix)
    callbacks_ = [one for one in found.values() if one is not None]
    empty = [str(one.id) for one in callbacks_ if not one.has_data]
    if empty:
        what = f"nothing was kept of callback {', '.join(empty)}: it was refused as it came"
        raise StdopsError("SOP541", what, fix="answer the node by `stdops callback RUN NODE`")
    return callbacks_


def _is_left(callback: "Callback") -> bool:
    return callback.has_data and callback.state != "delivered"


async def _redeliver(
    settings: "Settings", store: "Store", chosen: "Sequence[Callback]"
) -> "dict[int, Next]":
    from workers.cli.wiring import connected
    from workers.receiver.courier import LEASE, Courier, delivery

    connection = await connected(settings)
    courier = Courier(store.inbox, delivery(connection.runs))
    ends: dict[int, Next] = {}
    for one in chosen:
        # not due for others while we try it
        fresh = store.inbox.requeue(one.id, datetime.now(UTC), LEASE)
        if fresh is not None:
            ends[one.id] = await courier.deliver(fresh)
    return ends
