import pytest
from pydantic import JsonValue
from structlog.testing import capture_logs

from activities.builtin.bk_display import bk_display
from activities.builtin.pause_node import pause_node
from activities.contract import Done, Waiting
from activities.testing import Stage


async def test_a_pause_waits_for_a_callback() -> None:
    async with Stage() as stage:
        assert await stage.run(pause_node, {"description": ""}) == Waiting()


@pytest.mark.parametrize(
    ("data", "outputs"),
    [({"ok": True}, {"callback_data": {"ok": True}}), (0, {"callback_data": 0}), (None, {})],
)
async def test_any_callback_ends_a_pause(data: JsonValue, outputs: dict[str, JsonValue]) -> None:
    async with Stage() as stage:
        outcome = await stage.run(pause_node, {}, callbacks=[data])

    assert outcome == Done(outputs=outputs)


async def test_a_display_shows_its_message() -> None:
    async with Stage() as stage:
        with capture_logs() as logs:
            outcome = await stage.run(bk_display, {"bk_display_message": "hello"})

    assert outcome == Done()
    assert [entry["message"] for entry in logs] == ["hello"]


def test_all_three_are_decided_by_the_workflow() -> None:
    assert pause_node.traits.inline == "pause"
    assert bk_display.traits.inline == "display"
