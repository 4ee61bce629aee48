"""Commands around the payload codec: its server, and a new key."""

from typing import TYPE_CHECKING

import typer

from workers.cli.app import app
from workers.cli.options import epilog
from workers.cli.output import Code, await_now

if TYPE_CHECKING:
    from workers.settings import Settings


@app.command(
    "codec-server",
    epilog=epilog(
        "stdops codec-server",
        "STDOPS_CODEC_HOST=0.0.0.0 STDOPS_CODEC_TOKENS=... stdops codec-server",
        codes=[Code.REFUSED],
    ),
)
def codec_server() -> None:
    """Decrypt for the Web UI and the temporal command, until Ctrl-C.

    It needs the keys of the workers, and nothing else of them: no store, no Temporal server. Guard
    it as you guard a worker.
    """
    from workers.cli.wiring import keep_logs
    from workers.settings import load_settings

    settings = load_settings()
    keep_logs(settings, shown=True)
    await_now(_serve(settings))


async def _serve(settings: "Settings") -> None:
    import asyncio

    from workers.codec_server.access import access_of
    from workers.codec_server.serving import codec_serving
    from workers.worker import stop_on_signals

    stop = asyncio.Event()
    async with stop_on_signals(stop), codec_serving(settings) as address:
        typer.echo(f"{typer.style('✓', fg='green')} codec server  {address}")
        typer.echo(f"  pages   {', '.join(access_of(settings).origins)}")
        typer.echo("  next    enter it in the Web UI (data encoder), or temporal --codec-endpoint")
        await stop.wait()


@app.command("codec-key", epilog=epilog("stdops codec-key", codes=[Code.OK]))
def codec_key() -> None:
    """Print a new key of the payload codec, for STDOPS_CODEC_KEYS on every machine."""
    from workers.codec import fresh_key

    typer.echo(fresh_key())
