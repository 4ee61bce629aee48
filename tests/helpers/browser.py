"""A person at the Temporal Web UI: opens a run's page, reads it, sends verbs, starts runs.

Everything is done by what a person sees: labels, roles and text. The page keeps two copies of its
dialogs, one of them hidden, so all of it is found among what is visible.
"""

import asyncio
import re
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tests.helpers.png import Colour, read_png

if TYPE_CHECKING:
    from playwright.async_api import Browser, FloatRect, FrameLocator, Locator, Page, Response

Theme = Literal["light", "dark"]

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DETAILS: Final = "#user-metadata-current-details"
STEP_MS: Final = 45_000
"""How long one step of a person may take; the page asks a worker before it shows anything."""
LOOK_MS: Final = 1_000
LIMIT_S: Final = 60.0
WIDTH: Final = 1400
HEIGHT: Final = 1000


class _Box(NamedTuple):
    """What distinguishes the boxes that send: menu item and title, test id, where it is sent to."""

    title: str
    choice: str
    address: str


UPDATE: Final = _Box("Send an Update", "update-select-button", "/update/")
SIGNAL: Final = _Box("Send a Signal", "signal-select-button", "/signal/")


def browser_binary() -> str | None:
    """Return the browser that is installed on this machine, None for none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def missing() -> str:
    """Say what keeps a browser from being used here, and how to mend it; "" for nothing."""
    if find_spec("playwright") is None:
        return "no browser: the package playwright is missing; install the group dev (`make venv`)"
    if browser_binary() is None:
        names = ", ".join(BROWSERS)
        return f"no browser: none of {names} is on PATH; on Debian: `apt-get install chromium`"
    return ""


@asynccontextmanager
async def open_browser() -> AsyncGenerator["Browser"]:
    """Start the machine's own browser, without a window, for as long as the context lasts."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_binary(), args=ARGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def open_page(browser: "Browser", theme: Theme = "light") -> AsyncGenerator["RunPage"]:
    """Open an empty page of a person who has never been here."""
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme
    )
    context.set_default_timeout(STEP_MS)
    yield RunPage(await context.new_page())
    await context.close()


@dataclass(frozen=True, slots=True)
class RunPage:
    """The page of one run, on its tab with the current details; or the list of runs."""

    page: "Page"

    # --- what is read ---

    @property
    def details(self) -> "FrameLocator":
        """The sandboxed frame into which the page draws the current details."""
        return self.page.frame_locator(DETAILS)

    async def open(self, url: str) -> None:
        """Open a run's page and wait until its details are drawn."""
        await self.page.goto(url)
        await self.details.locator("svg").wait_for()

    async def until(self, text: str) -> None:
        """Ask for fresh details, as a person does by the key R, until they show `text`."""
        shown = self.details.get_by_text(text).first
        try:
            async with asyncio.timeout(LIMIT_S):
                while not await _appears(shown):
                    await self.page.keyboard.press("r")
        except TimeoutError:
            found = await self.words()
            raise AssertionError(f"the page never showed {text!r}, but: {found}") from None

    async def words(self) -> str:
        """Return all that the details say."""
        return await self.details.locator("body").inner_text()

    async def offered(self, field: str) -> str:
        """Return the first object on the page that has `field`, as it goes into the box."""
        codes = await self.details.locator("code").all_inner_texts()
        return next(text for text in codes if text.startswith("{") and f'"{field}"' in text)

    def drawn(self, name: str) -> "Locator":
        """Return the text of a node in the picture."""
        return self.details.locator("svg text", has_text=name).first

    async def colour_of(self, name: str) -> Colour:
        """Return the colour of a node in the picture, as a person sees it around its name."""
        return read_png(await self.drawn(name).screenshot()).most_frequent()

    async def shot(self, file: Path, height: int = 1500) -> None:
        """Keep a picture of the page, high enough for a flow of some twenty nodes."""
        await self.page.set_viewport_size({"width": WIDTH, "height": height})
        await self.details.locator("svg").wait_for()
        await self.page.screenshot(path=file)
        await self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    # --- what is sent ---

    async def send_update(self, name: str, text: str) -> None:
        """Send an update that is accepted: the dialog closes."""
        await self._submit(UPDATE, await self.fill(UPDATE, name, text))

    async def send_signal(self, name: str, text: str, *, custom: bool = False) -> None:
        """Send a signal; the dialog closes whatever the run makes of it.

        A `custom` one is not in the dialog's list: its name is typed.
        """
        dialog = await self.fill(SIGNAL, "Custom" if custom else name, text)
        if custom:
            await dialog.get_by_role("textbox", name="Signal name").fill(name)
        await self._submit(SIGNAL, dialog)

    async def _submit(self, box: _Box, dialog: "Locator") -> None:
        await self.page.keyboard.press("Tab")  # leaving the editor tidies the text
        async with self.page.expect_response(lambda response: _is_post(response, box.address)):
            await dialog.get_by_role("button", name="Submit").click()
        await dialog.wait_for(state="hidden")

    async def refused_update(self, name: str, text: str) -> str:
        """Send an update as the page teaches it, and return what the dialog says against it.

        The first press on Submit leaves the editor, which tidies the text and grows: the button
        moves away between press and release, and nothing is sent. The second press sends.
        """
        dialog = await self.fill(UPDATE, name, text)
        submit = dialog.get_by_role("button", name="Submit")
        await submit.click()
        async with self.page.expect_response(lambda response: _is_post(response, UPDATE.address)):
            await submit.click()
        shown = dialog.get_by_role("alert").filter(has_text=re.compile(r"\w"))
        return await shown.last.inner_text()

    async def fill(self, box: _Box, name: str, text: str) -> "Locator":
        """Open a dialog, choose an update or signal by its name and paste the object."""
        await self.page.get_by_role("button", name="More Actions").click()
        await self.page.get_by_role("menuitem", name=box.title).click()
        dialog = self.page.get_by_role("dialog", name=box.title)
        await dialog.get_by_test_id(box.choice).click()
        await dialog.get_by_role("option", name=re.compile(rf"^\s*{name}\b")).click()
        await paste(dialog.get_by_role("textbox", name="Data"), text)
        return dialog

    async def close_dialog(self) -> None:
        """Leave the dialog without sending."""
        dialog = self.page.get_by_role("dialog").filter(visible=True)
        await dialog.get_by_role("button", name="Cancel").last.click()
        await dialog.wait_for(state="hidden")

    # --- other pages ---

    async def start(self, form_url: str, fields: Mapping[str, str], text: str) -> None:
        """Start a run by the page's form and open its details by the link that is shown then."""
        await self.fill_form(form_url, fields, text)
        await self.page.keyboard.press("Tab")
        await self.page.get_by_test_id("start-workflow-button").click()
        await self.page.get_by_role("link", name="Workflow started successfully").click()
        await self.page.get_by_role("tab", name="User Metadata").click()
        await self.details.locator("svg").wait_for()

    async def fill_form(self, form_url: str, fields: Mapping[str, str], text: str) -> None:
        """Open the form that starts a run, and write into it."""
        await self.page.goto(form_url)
        for label, value in fields.items():
            await self.page.get_by_label(label).fill(value)
        await paste(self.page.get_by_role("textbox", name="Data"), text)

    async def open_list(self, url: str, *runs: str) -> None:
        """Open a list of runs and wait until it shows these."""
        await self.page.goto(url)
        for run in runs:
            await self.page.get_by_role("link", name=run, exact=True).wait_for()

    async def choose_all(self) -> None:
        """Choose all runs of the list."""
        await self.page.get_by_test_id("batch-actions-checkbox").locator("label").click()
        await self.page.get_by_test_id("bulk-cancel-button").wait_for()

    async def cancel_chosen(self, reason: str) -> None:
        """Ask that the chosen runs are cancelled."""
        await self.page.get_by_test_id("bulk-cancel-button").click()
        dialog = self.page.get_by_role("dialog").filter(visible=True)
        await dialog.get_by_label("Reason").fill(reason)
        await dialog.get_by_role("button").last.click()
        await dialog.wait_for(state="hidden")


async def paste(editor: "Locator", text: str) -> None:
    """Put a text into the page's editor at once, in place of what a dialog kept from last time.

    Typed key by key, the editor would complete the brackets itself.
    """
    await editor.click()
    await editor.press("ControlOrMeta+a")
    await editor.page.keyboard.insert_text(text)


async def place_of(locator: "Locator") -> "FloatRect":
    """Return where something stands on the page; it must be shown."""
    place = await locator.bounding_box()
    assert place is not None, "it is not shown"
    return place


async def _appears(shown: "Locator") -> bool:
    from playwright.async_api import TimeoutError as NotInTime

    try:
        await shown.wait_for(timeout=LOOK_MS)
    except NotInTime:
        return False
    return True


def _is_post(response: "Response", address: str) -> bool:
    return address in response.url and response.request.method == "POST"
