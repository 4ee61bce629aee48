"""The Temporal Web UI shows a run and drives it: nothing but a browser is needed to operate one."""

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stdops import OperationRefused
from tests.helpers.browser import UPDATE, RunPage, open_page
from tests.helpers.site import Site
from workers.demo.release import DETOUR, URL_INPUT
from workers.demo.target import Target

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.helpers.png import Colour

FAILED = "1 node failed"
TWO_FAILED = "2 nodes failed"


def is_red(colour: "Colour") -> bool:
    return colour[0] > 150 and max(colour[1:]) < 100


def is_green(colour: "Colour") -> bool:
    return colour[1] > 100 and colour[0] < 100


async def test_a_failed_node_is_red_and_mended_by_the_object_that_the_page_offers(
    site: Site, page: RunPage, target: Target, shots: Path
) -> None:
    started = await site.start(target)
    await page.open(started.url)
    await page.until(FAILED)

    failed, done = await page.colour_of("Roll out"), await page.colour_of("Build web")
    offered = await page.offered("set")
    await page.shot(shots / "failed-light.png")
    await page.send_update("retry", offered.replace("…", target.url + DETOUR))
    await page.until("Finished")
    await page.shot(shots / "finished-light.png")

    assert (is_red(failed), is_green(done)) == (True, True)
    assert json.loads(offered) == {"node": "rollout", "set": {URL_INPUT: "…"}}
    assert is_green(await page.colour_of("Roll out"))
    assert target.deployed == ["canary", "standby"]


@pytest.mark.slow
async def test_the_dialog_shows_why_an_update_is_refused(
    site: Site, page: RunPage, target: Target, shots: Path
) -> None:
    started = await site.start(target)
    await page.open(started.url)
    await page.until(FAILED)

    said = await page.refused_update("skip", '{"node": "check"}')
    await page.page.screenshot(path=shots / "refused.png")
    with pytest.raises(OperationRefused) as refused:
        await site.connection.runs.verb(started.workflow_id, "skip", {"node": "check"})

    assert said.splitlines()[0] == refused.value.what
    assert FAILED in await page.words()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["RunFlow", "release"])
async def test_a_run_is_started_paused_and_led_to_its_end_by_the_page_alone(
    site: Site, browser: "Browser", target: Target, shots: Path, kind: str
) -> None:
    inputs = {"target": target.url, "environment": "production"}
    given = {"template": "release", "inputs": inputs} if kind == "RunFlow" else inputs
    run = f"by-hand-{secrets.token_hex(4)}"
    fields = {"Workflow ID": run, "Task Queue": "stdops", "Workflow Type": kind}

    async with open_page(browser, "dark") as page:
        await page.start(site.form, fields, json.dumps(given))
        await page.until(FAILED)
        await page.shot(shots / f"failed-dark-{kind}.png")
        await page.send_update("pause", "{}")
        await page.send_update("skip", '{"node": "rollout", "operator": "ann"}')
        await page.until("Paused")
        await page.shot(shots / f"paused-dark-{kind}.png")
        await page.send_update("resume", "{}")
        await page.until("Finished")

    assert target.deployed == ["canary"]
    assert (await site.connection.runs.result(run))["state"] == "finished"


@pytest.mark.slow
async def test_a_run_that_stands_in_every_way_is_led_through_by_updates_and_a_signal(
    site: Site, page: RunPage, target: Target, shots: Path
) -> None:
    started = await site.upgrade(target, "someday")
    await page.open(started.url)

    await page.until(TWO_FAILED)
    await page.send_update("skip", '{"node": "db", "reason": "migrated by hand"}')
    await page.until(FAILED)
    retried = json.dumps({"node": "web", "set": {URL_INPUT: target.url + DETOUR}})
    await page.send_update("retry", retried)
    await page.until("callback")
    await page.send_signal("callback", '{"node": "confirm", "data": {"ok": true}}')
    await page.until("xor-when-switch")
    await page.shot(shots / "no-branch.png")
    await page.send_update("choose", '{"node": "xor-when", "branch": "xor-when-night"}')
    await page.until("timer")
    await page.send_update("set_timer", '{"node": "night", "seconds": 0}')
    await page.until("Finished")

    ended = await site.connection.runs.result(started.workflow_id)
    assert (ended["state"], ended["skipped"]) == ("finished", ["db", "xor-when"])
    assert target.deployed == ["standby", "web"]


@pytest.mark.slow
async def test_a_signal_that_does_not_apply_is_seen_on_the_page(
    site: Site, page: RunPage, target: Target
) -> None:
    started = await site.start(target)
    await page.open(started.url)
    await page.until(FAILED)

    await page.send_signal("skip", '{"node": "check", "operator": "ann"}')
    await page.until("refused")

    assert "check" in await page.words()


@pytest.mark.slow
async def test_the_box_teaches_the_object_of_each_verb(
    site: Site, page: RunPage, target: Target, shots: Path
) -> None:
    started = await site.start(target)
    await page.open(started.url)

    dialog = await page.fill(UPDATE, "retry", "{}")
    await dialog.get_by_test_id(UPDATE.choice).click()
    offered = await dialog.get_by_role("option").all_inner_texts()
    await page.page.screenshot(path=shots / "update-names.png")

    taught = {text.split()[0]: text for text in offered}
    assert '{"node": "..."}' in taught["skip"]
    assert taught.keys() >= {"pause", "resume", "revoke", "retry", "skip", "callback"}


@pytest.mark.slow
async def test_a_verb_is_signalled_under_the_name_that_bk_sops_has_for_it(
    site: Site, page: RunPage, target: Target
) -> None:
    started = await site.upgrade(target, "now")
    await page.open(started.url)
    await page.until(TWO_FAILED)

    await page.send_signal("retry_subprocess", '{"node_id": "db", "operator": "ann"}', custom=True)
    await page.until("retry")
    history = await site.connection.runs.query(started.workflow_id, "history")

    assert [entry["alias"] for entry in history["entries"]] == ["retry_subprocess"]


@pytest.mark.slow
async def test_failed_runs_are_found_by_a_filter_and_ended_together(
    site: Site, page: RunPage, target: Target, shots: Path
) -> None:
    template = 'StdopsTemplate = "upgrade"'
    runs = [(await site.upgrade(target, "now")).workflow_id for _ in range(2)]
    other = (await site.start(target)).workflow_id

    await page.open_list(await site.listed(f'StdopsState="Failed" AND {template}', *runs), *runs)
    await page.choose_all()
    await page.page.screenshot(path=shots / "list-failed.png")
    found = await page.page.get_by_role("link", name=other, exact=True).count()
    await page.cancel_chosen("wrong release")
    closed = f'ExecutionStatus="Canceled" AND StdopsState="Revoked" AND {template}'
    await page.open_list(await site.listed(closed, *runs), *runs)

    assert found == 0
