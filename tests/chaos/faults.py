"""What is done to a site: one function a fault, which breaks something and mends it again."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import httpx

from tests.chaos.site import Site
from workers.server import EmbeddedServer

FROZEN_S: Final = 7.0
"""Longer than the heartbeat that a step must give, so that the server takes it for lost."""
BROKEN_S: Final = 3.0
STALLED_S: Final = 6.0
STORM_POSTS: Final = 300
STORM_WAYS: Final = 20
STORE_BYTES: Final = 1_000_000
FAKETIME: Final = Path("/usr/lib")
JUMPS: Final = ("+3600", "-3600", "+86400")


class Fault(NamedTuple):
    """A row of the table: its name, what it does, how many runs meet it and how often.

    times 0 does nothing; pause_s is how long after one blow the next one falls. needs: what the
    machine must have for it. store: the store lies on a small disk of its own.
    """

    name: str
    blow: Callable[[Site, Random], Awaitable[None]]
    runs: int = 40
    times: int = 4
    pause_s: float = 2.0
    needs: Callable[[], str] = lambda: ""
    small_store: bool = False


async def nothing(_site: Site, _chance: Random) -> None:
    """Leave all as it is."""


async def kill_worker(site: Site, chance: Random) -> None:
    """Kill a worker, and start it again."""
    name = chance.choice(site.workers)
    await site.kill(name)
    await site.restart(name)


async def kill_receiver(site: Site, _chance: Random) -> None:
    """Kill the receiver of callbacks, and start it again a little later."""
    await site.kill("receiver")
    await site.pause(1.0)
    await site.restart("receiver")


async def freeze_worker(site: Site, chance: Random) -> None:
    """Stop a worker in its tracks until it is taken for lost, then let it go on."""
    name = chance.choice(site.workers)
    site.signal(name, signal.SIGSTOP)
    await site.pause(FROZEN_S)
    site.signal(name, signal.SIGCONT)


async def kill_server(site: Site, _chance: Random) -> None:
    """Kill the Temporal server, and start it again on its database."""
    assert site.server.pid is not None
    os.killpg(site.server.pid, signal.SIGKILL)
    await _start_again(site)


async def restart_server(site: Site, _chance: Random) -> None:
    """End the Temporal server cleanly, and start it again."""
    await _start_again(site)


async def _start_again(site: Site) -> None:
    old = site.server
    await old.__aexit__(None, None, None)
    site.server.port = old.port
    await EmbeddedServer.__aenter__(site.server)


async def cut_wire(site: Site, _chance: Random) -> None:
    """End all connections of the workers to the server, and take none for a while."""
    site.proxy.become("cut")
    await site.pause(BROKEN_S)
    site.proxy.become("whole")


async def slow_wire(site: Site, _chance: Random) -> None:
    """Delay whatever the workers and the server say to each other."""
    site.proxy.become("slow")
    await site.pause(BROKEN_S * 2)
    site.proxy.become("whole")


async def stall_wire(site: Site, _chance: Random) -> None:
    """Leave connections open that carry nothing, then end them."""
    site.proxy.become("stalled")
    await site.pause(STALLED_S)
    site.proxy.hang_up()
    site.proxy.become("whole")


async def lock_store(site: Site, _chance: Random) -> None:
    """Hold the store's lock, so that nobody else can read or write it."""
    held = sqlite3.connect(
        site.store_file, isolation_level=None, timeout=30, check_same_thread=False
    )
    try:
        await asyncio.to_thread(held.execute, "BEGIN EXCLUSIVE")
        await site.pause(BROKEN_S)
        held.rollback()
    finally:
        held.close()


async def lose_store(site: Site, _chance: Random) -> None:
    """Move the folder of the store away, and back."""
    folder = site.store_file.parent
    away = folder.with_name(f"{folder.name}-away")
    folder.rename(away)
    await site.pause(BROKEN_S)
    shutil.rmtree(folder, ignore_errors=True)  # what was made in its place meanwhile
    away.rename(folder)


async def fill_store(site: Site, _chance: Random) -> None:
    """Fill the disk of the store, and make room again."""
    filler = site.store_file.with_name("filler")
    await asyncio.to_thread(_fill, filler)
    await site.pause(BROKEN_S)
    await asyncio.to_thread(filler.unlink)


def _fill(filler: Path) -> None:
    """Write a file until the disk takes no more."""
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


async def jump_clock(site: Site, chance: Random) -> None:
    """Set the clock of the workers to another time."""
    where = Path(site.environment["FAKETIME_TIMESTAMP_FILE"])
    await asyncio.to_thread(where.write_text, chance.choice(JUMPS), "utf-8")


async def storm(site: Site, chance: Random) -> None:
    """Send the receiver hundreds of callbacks: forged, doubled, early."""
    known = (await site.ask("/callbacks"))["callbacks"]
    room = asyncio.Semaphore(STORM_WAYS)

    async def post(url: str, body: object) -> None:
        async with room:
            try:
                await site.http.post(url, json=body)
            except httpx.HTTPError:
                return  # turned away: as good as refused

    posts: list[Awaitable[None]] = []
    for _ in range(STORM_POSTS if known else 0):
        one = chance.choice(known)
        url, body = one["url"], one["body"]
        if chance.random() < 0.5:
            at = chance.randrange(len(url) - 20, len(url))
            url, body = f"{url[:at]}{chance.choice('AbC0')}{url[at + 1 :]}", {"result": "forged"}
        posts.append(post(url, body))
    await asyncio.gather(*posts)


# --- what the machine must have ---------------------------------------------------------------


def faketime_library() -> Path | None:
    """Return the library that gives a process another time, where it is installed."""
    found = sorted(FAKETIME.glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


def needs_faketime() -> str:
    """Say what is missing for another clock."""
    return "" if faketime_library() else "the package faketime is not installed"


def needs_mount() -> str:
    """Say what is missing for a small disk."""
    can = os.geteuid() == 0 and shutil.which("mount") is not None
    return "" if can else "only root can mount a small disk"


def mount_small(folder: Path) -> None:
    """Mount a disk of a megabyte, in memory."""
    folder.mkdir()
    options = f"size={STORE_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)  # noqa: S607  the system's own


def unmount(folder: Path) -> None:
    """Take the disk away."""
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607  the system's own


FAULTS: Final[Sequence[Fault]] = (
    Fault("nothing", nothing, times=0),
    Fault("worker killed", kill_worker, times=8, pause_s=1.0),
    Fault("worker frozen", freeze_worker, times=4),
    Fault("receiver killed", kill_receiver, times=5, pause_s=1.0),
    Fault("server killed", kill_server, times=3),
    Fault("server restarted", restart_server, times=3),
    Fault("wire cut", cut_wire),
    Fault("wire slow", slow_wire, times=2),
    Fault("wire half open", stall_wire, times=3),
    Fault("store locked", lock_store),
    Fault("store gone", lose_store),
    Fault("store full", fill_store, needs=needs_mount, small_store=True),
    Fault("clock jumps", jump_clock, times=6, needs=needs_faketime),
    Fault("callback storm", storm, times=10, pause_s=0.2),
    Fault("500 runs at once", nothing, runs=500, times=0),
)
