"""The pictures of `docs/operating.md`, taken of real runs in the real Web UI by a real browser.

`python -m tests.tools.screenshots docs/images` writes them; it needs chromium and takes a minute.
They show no address and no name of the machine.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from tests.helpers.browser import (
    HEIGHT,
    UPDATE,
    WIDTH,
    RunPage,
    missing,
    open_browser,
    open_page,
    place_of,
)
from tests.helpers.png import palette_png, read_png
from tests.helpers.site import UPGRADE, Site, open_site
from workers.demo.release import FAILING, URL_INPUT
from workers.demo.target import Target

if TYPE_CHECKING:
    from playwright.async_api import FloatRect, Locator

LARGEST: Final = 60 * 1024
TALL: Final = 1900
RELEASE_RUN: Final = "release-42"
UPGRADE_RUN: Final = "upgrade-7"
MARGIN: Final = 20
SIDE: Final = 270
"""Where the list of runs begins, to the right of the page's own menu."""


@dataclass(frozen=True, slots=True)
class Album:
    """Where the pictures go, and what is pictured."""

    folder: Path
    site: Site
    page: RunPage

    async def keep(self, name: str, taken: bytes) -> None:
        """Store a picture in few bytes.

        Raises:
            ValueError: it is too large to be kept with the documents.
        """
        data = palette_png(read_png(taken))
        if len(data) > LARGEST:
            raise ValueError(f"{name}.png has {len(data)} bytes, more than {LARGEST}; crop it")
        (self.folder / f"{name}.png").write_bytes(data)
        print(f"{name}.png {len(data)} bytes")

    async def pane(self, name: str) -> None:
        """Keep what the run says of itself.

        Raises:
            ValueError: it names a client, whose identity would tell the name of this machine.
        """
        if "@" in (words := await self.page.words()):
            raise ValueError(f"{name}.png would show a client's identity: {words}")
        await self.page.page.set_viewport_size({"width": WIDTH, "height": TALL})
        clip = await place_of(self.page.details.locator("body"))
        last = await place_of(self.page.details.locator("body :is(p, li, svg)").last)
        clip["height"] = last["y"] + last["height"] + MARGIN - clip["y"]
        await self.keep(name, await self.page.page.screenshot(clip=clip))
        await self.page.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    async def element(self, name: str, element: "Locator") -> None:
        """Keep one part of the page."""
        await self.keep(name, await element.screenshot())

    async def verb(self, run: str, name: str, **fields: JsonValue) -> None:
        """Give a verb beside the page."""
        await self.site.connection.runs.verb(run, name, {"operator": "ann", **fields})


async def take(folder: Path) -> None:
    """Take all pictures into `folder`, which exists."""
    async with _album(folder) as album, Target() as target:
        release = await album.site.start(target, RELEASE_RUN)
        upgrade = await album.site.upgrade(target, "someday", UPGRADE_RUN)
        await album.page.open(release.url)
        await album.page.until("1 node failed")
        await _of_the_list(album)
        await album.page.open(release.url)
        await _of_a_failure(album)
        await album.page.open(upgrade.url)
        await _of_waiting(album)
        await _of_the_form(album)


@asynccontextmanager
async def _album(folder: Path) -> AsyncGenerator[Album]:
    async with AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stdops-shots-")))
        site = await stack.enter_async_context(open_site(data))
        browser = await stack.enter_async_context(open_browser())
        page = await stack.enter_async_context(open_page(browser))
        yield Album(folder, site, page)


async def _of_the_list(album: Album) -> None:
    runs = (RELEASE_RUN, UPGRADE_RUN)
    await album.page.open_list(await album.site.listed('StdopsState="Failed"', *runs), *runs)
    await album.page.choose_all()
    clip: FloatRect = {"x": SIDE, "y": 50, "width": WIDTH - SIDE, "height": 305}
    await album.keep("list", await album.page.page.screenshot(clip=clip))


async def _of_a_failure(album: Album) -> None:
    """Picture a failed node, the retry that is offered, and a refusal."""
    page = album.page
    await page.until("1 node failed")
    await album.pane("failed")
    changed = {"node": FAILING, "set": {URL_INPUT: "https://standby.example/deploy"}}
    dialog = await page.fill(UPDATE, "retry", json.dumps(changed))
    await page.page.keyboard.press("Tab")
    await album.element("retry", dialog)
    await page.close_dialog()
    await page.refused_update("skip", '{"node": "check"}')
    await album.element("refused", page.page.get_by_role("dialog", name=UPDATE.title))


async def _of_waiting(album: Album) -> None:
    """Picture a node that waits for an answer, a pause, and a gateway with no branch to take."""
    await album.page.until("2 nodes failed")
    for node in ("web", "db"):
        await album.verb(UPGRADE_RUN, "skip", node=node)
    await album.page.until("callback")
    await album.pane("waiting")
    await album.verb(UPGRADE_RUN, "pause", reason="until the morning")
    await album.page.until("Paused")
    await album.pane("paused")
    await album.verb(UPGRADE_RUN, "resume")
    await album.verb(UPGRADE_RUN, "callback", node="confirm", data={"ok": True})
    await album.page.until("xor-when-switch")
    await album.pane("no-branch")


async def _of_the_form(album: Album) -> None:
    fields = {"Workflow ID": UPGRADE_RUN, "Task Queue": "stdops", "Workflow Type": UPGRADE}
    inputs = {"target": "https://web.example", "when": "tonight"}
    await album.page.fill_form(album.site.form, fields, json.dumps(inputs))
    await album.page.page.keyboard.press("Tab")
    button = await place_of(album.page.page.get_by_test_id("start-workflow-button"))
    right, bottom = button["x"] + button["width"] + 30, button["y"] + button["height"] + 30
    clip: FloatRect = {"x": SIDE, "y": 105, "width": right - SIDE, "height": bottom - 105}
    await album.keep("start", await album.page.page.screenshot(clip=clip))


def main() -> int:
    """Take the pictures into the folder that is named; returns the exit code."""
    reason = missing()
    if reason or len(sys.argv) != 2:
        print(reason or "name one folder: python -m tests.tools.screenshots docs/images")
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
