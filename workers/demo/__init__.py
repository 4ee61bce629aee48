"""The demos: a run that fails on purpose, and how a person mends it.

Everything is in this process and in a temporary folder: server, Web UI, worker, store, and the
outside that is worked on. Nothing of it is left behind.
"""

import tempfile
from pathlib import Path

import typer

from workers.cli.output import Code


async def show(*, once: bool, blueking: bool = False) -> Code:
    """Run a demo; with `once` the failure is mended by itself, and the run's end is the end."""
    with tempfile.TemporaryDirectory(prefix="stdops-demo-") as folder:
        if blueking:
            return await _show_blueking(Path(folder), once=once)
        return await _show_release(Path(folder), once=once)


async def _show_release(folder: Path, *, once: bool) -> Code:
    from workers.demo.release import Release
    from workers.demo.showing import present
    from workers.demo.target import Target

    typer.secho("starting a Temporal server, a worker and a service to release to …", dim=True)
    async with Target() as target:
        return await present(Release(target), folder, once=once)


async def _show_blueking(folder: Path, *, once: bool) -> Code:
    from workers.demo.blueking import Change
    from workers.demo.showing import present
    from workers.fake_blueking import Platform, free_port, serving, shop

    typer.secho("starting a Temporal server, a worker and a fake BlueKing platform …", dim=True)
    async with serving(Platform(shop())) as served:
        return await present(Change(served, free_port()), folder, once=once)
