"""What the newer node manager does, as a workflow of its own: started once, looked at till its end.

Source: plugins' reference, section 3.8; differs: a workflow of more operations than a page holds is
read to its last page.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

from pydantic import JsonValue

from activities.blueking.catalogue import blueking
from activities.blueking.client import BlueKing, Json, as_object
from activities.blueking.form import Form, Written
from activities.blueking.nodemgr.answers import pages
from activities.calls import Call, PluginError, StillRunning
from activities.sdk import AnyPlugin

LOOK_S: Final = 10.0
PAGE: Final = 500
SUCCEEDED: Final = frozenset({"success", "succeeded"})
FAILED: Final = frozenset({"failed", "failure", "timeout", "terminated"})
_SHOWN: Final = 50


def follow(
    bk: BlueKing, call: Call[Form], data: Json, unknown: Sequence[str], *, tab: str = ""
) -> NoReturn:
    """Wait for the end of a workflow; a note names the hosts that were left out of it.

    Raises:
        StillRunning: always, unless there is no workflow.
        PluginError: the node manager names none.
    """
    number = data.get("workflow_id")
    if not number:
        raise PluginError("未获取到 workflow_id")
    base = bk.settings.nodemgr_url.rstrip("/")
    page = f"{base}/#/node-manager/history/detail/{number}{f'?active={tab}' if tab else ''}"
    without = f"; left out: {', '.join(unknown)}" if unknown else ""
    call.note(f"node manager {number}{without}")
    outputs: Json = {"workflow_id": number, "workflow_url": page}
    raise StillRunning(number, after_s=LOOK_S, outputs=outputs)


def with_looks(plugin: AnyPlugin, api: str) -> AnyPlugin:
    """Add to a component that starts a workflow the looks at it, by the API that lists it."""

    @plugin.poll
    async def poll(call: Call[Form], handle: JsonValue) -> Written:
        return await _look(blueking(call), call, api, handle)

    return plugin


async def _look(bk: BlueKing, call: Call[Form], api: str, number: JsonValue) -> Written:
    """Look at a workflow.

    Raises:
        StillRunning: some operation goes on, or none has begun.
        PluginError: some have failed.
    """
    asked: Json = {"workflow_id": number, "only_count": False}
    operations = await pages(bk, api, asked, "operations", PAGE)
    states = [_state(each) for each in operations]
    good, bad = (sum(state in ends for state in states) for ends in (SUCCEEDED, FAILED))
    known: Json = {"success_count": good, "failed_count": bad}
    if not operations or good + bad < len(operations):
        call.progress(**known, operations=len(operations))
        raise StillRunning(after_s=LOOK_S)
    if bad:
        raise PluginError(f"Workflow 执行失败: {_failures(operations)}", outputs=known)
    return Written.model_validate({**call.outputs, **known})


def _failures(operations: list[Json]) -> str:
    """Name the operations that have failed, the first of them."""
    named = [f"Operation {number} failed" for number in _failed(operations)]
    more = [f"… {len(named) - _SHOWN} more"] if len(named) > _SHOWN else []
    return "; ".join([*named[:_SHOWN], *more]) or "Some operations failed"


def _failed(operations: list[Json]) -> Iterator[JsonValue]:
    for each in operations:
        if _state(each) in FAILED and each.get("operation_id"):
            yield each["operation_id"]


def _state(operation: Json) -> str:
    """Return the state of an operation's latest run, "" where it has none yet."""
    found = as_object(operation.get("latest_oper_inst_brief_data")).get("life_cycle")
    state = found.get("state") if isinstance(found, dict) else found
    return str(state or "").strip().lower()
