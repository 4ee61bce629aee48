"""The Temporal Web UI shows a run and drives it: nothing but a browser is needed to operate one."""

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stdops import OperationRefused
from tests.helpers.browser import RunPage, open_page
from workers.demo.release import DETOUR, URL_INPUT
from workers.demo.target import Target

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.browser.conftest import Site

FORM = "/namespaces/default/workflows/start-workflow"
FAILED = "Waiting for you: 1 node failed"


async def test_a_failed_node_is_seen_and_mended_by_what_the_page_offers(
    site: "Site", page: RunPage, target: Target, shots: Path
) -> None:
    started = await site.start(target)
    await page.open(started.url)
    await page.until(FAILED)

    failed = await page.details.locator("svg text", has_text="✗ 全量发布 Roll out").count()
    offered = await page.offered("set")
    await page.shot(shots / "failed-light.png")
    await page.send_update("retry", offered.replace("…", target.url + DETOUR))
    await page.until("Finished")
    await page.shot(shots / "finished-light.png")

    assert failed == 1
    assert json.loads(offered) == {"node": "rollout", "set": {URL_INPUT: "…"}}
    assert target.deployed == ["canary", "standby"]
    assert (await site.connection.runs.result(started.workflow_id))["state"] == "finished"


async def test_the_dialog_shows_why_an_update_is_refused(
    site: "Site", page: RunPage, target: Target, shots: Path
) -> None:
    started = await site.start(target)
    await page.open(started.url)
    await page.until(FAILED)

    said = await page.refused_update("skip", '{"node": "check"}')
    await page.page.screenshot(path=shots / "refused.png")
    with pytest.raises(OperationRefused) as refused:
        await site.connection.runs.verb(started.workflow_id, "skip", {"node": "check"})

    assert said.splitlines()[0] == refused.value.what
    assert (await site.connection.runs.query(started.workflow_id, "history")) == []


@pytest.mark.slow
async def test_a_run_is_started_paused_and_led_to_its_end_by_the_page_alone(
    site: "Site", browser: "Browser", target: Target, shots: Path
) -> None:
    fields = {"Workflow ID": f"by-hand-{secrets.token_hex(4)}", "Task Queue": "stdops"}
    inputs = json.dumps({"target": target.url, "environment": "production"})

    async with open_page(browser, "dark") as page:
        await page.start(f"{site.ui_url}{FORM}?workflowType=release", fields, inputs)
        await page.until(FAILED)
        await page.shot(shots / "failed-dark.png")
        await page.send_update("pause", "{}")
        await page.send_update("skip", '{"node": "rollout", "operator": "ann"}')
        await page.until("Paused")
        await page.shot(shots / "paused-dark.png")
        await page.send_update("resume", "{}")
        await page.until("Finished")

    assert target.deployed == ["canary"]
    assert (await site.connection.runs.result(fields["Workflow ID"]))["state"] == "finished"
