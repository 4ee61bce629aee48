"""What holds for all of CMDB's components together: all are there, and what may be repeated."""

import httpx
import pytest

from activities.blueking.catalogue import components
from activities.blueking.cmdb.changes import CHANGES
from activities.blueking.cmdb.modules import MODULES
from activities.blueking.cmdb.sets import SETS
from activities.blueking.cmdb.transfer import TRANSFERS
from activities.contract import Done
from activities.sdk import AnyPlugin
from tests.helpers.cmdb_platform import Cmdb, changes_of, ended, failure_of
from tests.helpers.job_platform import Json, Reply, on_stage

PLUGINS = (*TRANSFERS, *SETS, *MODULES, *CHANGES)
ONCE_ONLY = {
    "cc_batch_delete_set",
    "cc_batch_module_update",
    "cc_batch_update_set",
    "cc_create_module",
    "cc_create_set",
    "cc_create_set_by_template",
    "cc_replace_fault_machine",
    "cmdb_transfer_host_resource",
}
CREATE = next(plugin for plugin in SETS if plugin.ref.code == "cc_create_set")
BATCH = next(plugin for plugin in TRANSFERS if plugin.ref.code == "cc_batch_transfer_host_module")
ROW: Json = {"cc_transfer_host_ip": "10.0.0.1", "cc_transfer_host_target_module": "east>web"}


def refused_connection() -> Reply:
    return httpx.ConnectError("no route")


def test_every_component_of_cmdb_is_there_once() -> None:
    wanted = [ref for ref in components() if ref[0].startswith(("cc_", "cmdb_"))]

    assert sorted((plugin.ref.code, plugin.ref.version) for plugin in PLUGINS) == sorted(wanted)


@pytest.mark.parametrize("plugin", PLUGINS, ids=repr)
async def test_after_a_crash_only_what_is_safe_is_sent_again(plugin: AnyPlugin) -> None:
    platform = Cmdb()

    async with on_stage(platform) as stage:
        result = await stage.call(plugin, {}, sent_before=True)

    is_left = "outcome unknown: an earlier try was interrupted" in getattr(result, "error", "")
    assert is_left == (plugin.ref.code in ONCE_ONLY)


@pytest.mark.parametrize("plugin", PLUGINS, ids=repr)
async def test_without_a_business_nothing_is_asked(plugin: AnyPlugin) -> None:
    platform = Cmdb()

    async with on_stage(platform, {"biz_cc_id": None, "bk_biz_id": None}) as stage:
        result = await stage.call(plugin, {})

    assert "no business is given" in getattr(result, "error", "")
    assert platform.asked == []


async def test_the_business_of_the_form_comes_before_the_projects() -> None:
    platform = Cmdb()

    form: Json = {"biz_cc_id": "7", "cc_set_parent_select": ["biz_7"], "cc_set_info": [{"x": "y"}]}
    (change,) = await changes_of(CREATE, form, platform)

    assert change.params["bk_biz_id"] == 7


async def test_what_was_not_taken_is_sent_again_when_nothing_is_changed() -> None:
    platform = Cmdb(cc__transfer_host_module=[refused_connection(), {}])

    end = await ended(platform, BATCH, {"cc_host_transfer_detail": [ROW]})

    assert isinstance(end, Done), end


async def test_what_was_not_taken_after_a_change_is_told_and_left() -> None:
    platform = Cmdb(cc__create_set=[{}, refused_connection()])
    names: list[Json] = [{"bk_set_name": "a"}, {"bk_set_name": "b"}]

    error = await failure_of(
        platform, CREATE, {"cc_set_parent_select": ["biz_2"], "cc_set_info": [*names]}
    )

    assert "done before: set 'a' below 2" in error
    assert len(platform.changes) == 2
