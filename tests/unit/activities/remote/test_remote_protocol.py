from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import JsonValue

from activities.expressions.opening import masked_text, opening
from activities.expressions.secrets import Keys
from activities.remote import Detail, RemoteSettings
from activities.remote.client import Memory, credentials
from activities.remote.protocol import context_for, interval_s

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INFO = "plugin_callback_info"


def detail(*, calls_back: bool, required: bool) -> Detail:
    wanted: dict[str, Any] = {
        "properties": {"operator": {}, INFO: {}},
        "required": [INFO] if required else [],
    }
    return Detail.model_validate({"enable_plugin_callback": calls_back, "context_inputs": wanted})


@pytest.mark.parametrize(
    ("asks", "url", "expected"),
    [
        (detail(calls_back=True, required=True), "http://us", {"url": "http://us", "data": {}}),
        (detail(calls_back=True, required=False), "http://us", {"url": "http://us", "data": {}}),
        (detail(calls_back=True, required=True), "", {"url": "", "data": {}}),
        (detail(calls_back=True, required=False), "", None),
        (detail(calls_back=False, required=False), "http://us", None),
    ],
    ids=["both", "not required", "nobody listens, required", "nobody listens", "never calls back"],
)
def test_a_service_gets_an_address_where_it_calls_back_or_insists(
    asks: Detail, url: str, expected: JsonValue
) -> None:
    found = context_for(asks, {"operator": "ann", "project_id": 1}, url)

    assert found.pop(INFO, None) == expected
    assert found == {"operator": "ann"}


@pytest.mark.parametrize(("look", "seconds"), [(1, 10), (29, 10), (30, 25), (49, 576), (50, 600)])
def test_the_interval_is_that_of_the_real_client(look: int, seconds: float) -> None:
    assert interval_s(look) == seconds


def test_without_an_application_nobody_says_who_calls() -> None:
    assert credentials(RemoteSettings()) == {}


def test_the_secret_of_the_application_is_masked_in_what_people_read() -> None:
    settings = RemoteSettings.model_validate({"app_code": "stdops", "app_secret": "hush-hush"})
    with opening(Keys.fresh()):
        header = credentials(settings)["X-Bkapi-Authorization"]

        assert "hush-hush" in header
        assert "hush" not in masked_text(f"the service says: {header}")


async def test_what_is_remembered_is_forgotten_in_time() -> None:
    memory, found = Memory(), iter(range(9))

    async def find() -> int:
        return next(found)

    seen = [
        await memory.recall("key", NOW + timedelta(seconds=seconds), 60, find)
        for seconds in (0, 59, 60, 61)
    ]

    assert seen == [0, 0, 1, 1]


async def test_what_cannot_be_found_is_not_remembered() -> None:
    memory = Memory()

    async def away() -> int:
        raise LookupError

    async def here() -> int:
        return 1

    with pytest.raises(LookupError):
        await memory.recall("key", NOW, 60, away)
    assert await memory.recall("key", NOW, 60, here) == 1
