"""What the page draws, as the Web UI's own renderer and a real browser show it.

States of every kind and flows of every size, without a run: the renderer gets the text of a page as
the Web UI hands it over. Each picture is kept; what can be measured is measured.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest

from activities.contract import Picture, RunSettings
from tests.helpers.pictures import NOW, half_way, large
from tests.helpers.site import Site
from workflows.machine.view import page
from workflows.machine.view.svg import encoded_size

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

PANE: Final = 510
"""How wide the pane of current details is where the window is 1400 wide."""

MEASURE: Final = """() => {
  const box = (el) => { const r = el.getBoundingClientRect(); return [r.x, r.y, r.right, r.bottom] }
  const texts = [...document.querySelectorAll('svg text')]
  return {
    pane: document.documentElement.clientWidth,
    needs: document.documentElement.scrollWidth,
    svg: box(document.querySelector('svg')),
    texts: texts.map((el) => [el.textContent, ...box(el)]),
  }
}"""


def drawn(tasks: int, picture: Picture = "svg") -> str:
    plan = large(tasks)
    return page(plan, half_way(plan), RunSettings(picture=picture), NOW, run_id="large-7f3c")


async def shown(browser: "Browser", site: Site, text: str, theme: str, file: Path) -> Any:
    """Let the Web UI render a page's text, keep a picture, and measure."""
    context = await browser.new_context(viewport={"width": PANE, "height": 1400})
    opened: Page = await context.new_page()
    await opened.goto(f"{site.ui_url}/render?content={quote(text, safe='')}&theme={theme}")
    found = await opened.evaluate(MEASURE) if "<svg" in text else await opened.inner_text("body")
    await opened.screenshot(path=file, full_page=True)
    await context.close()
    return found


def overlapping(texts: list[tuple[str, float, float, float, float]]) -> list[tuple[str, str]]:
    """Return the texts of which one covers another by more than the white around letters."""
    return [
        (one[0], other[0])
        for at, one in enumerate(texts)
        for other in texts[at + 1 :]
        if min(one[3], other[3]) - max(one[1], other[1]) > 1
        and min(one[4], other[4]) - max(one[2], other[2]) > 4
    ]


async def check(browser: "Browser", site: Site, tasks: int, theme: str, shots: Path) -> None:
    text = drawn(tasks)

    found = await shown(browser, site, text, theme, shots / f"picture-{tasks}-{theme}.png")

    left, top, right, bottom = found["svg"]
    assert encoded_size(text) <= RunSettings().picture_bytes
    assert found["needs"] <= found["pane"]
    assert any(name.startswith("✗ ") for name, *_ in found["texts"])
    for name, *box in found["texts"]:
        assert left <= box[0], name
        assert box[2] <= right, name
        assert top <= box[1], name
        assert box[3] <= bottom, name
    assert overlapping(found["texts"]) == []


async def test_a_flow_of_fifteen_shows_what_failed_and_nothing_covers_anything(
    browser: "Browser", site: Site, shots: Path
) -> None:
    await check(browser, site, 15, "light", shots)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("tasks", [10, 15, 50, 300])
async def test_nothing_covers_anything_at_any_size(
    browser: "Browser", site: Site, shots: Path, tasks: int, theme: str
) -> None:
    await check(browser, site, tasks, theme, shots)


@pytest.mark.slow
async def test_a_drawing_in_text_reads_as_it_was_written(
    browser: "Browser", site: Site, shots: Path
) -> None:
    said = await shown(browser, site, drawn(15, "text"), "light", shots / "picture-text.png")

    assert "✓ + parallel" in said
    assert "✗ " in said
