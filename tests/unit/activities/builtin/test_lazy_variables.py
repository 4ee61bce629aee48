from datetime import UTC, datetime

import httpx
import pytest
from pydantic import JsonValue

from activities.builtin.lazy_variables import PURE_VARIABLES
from activities.sdk import Lookup, PluginError

BY_CODE = {variable.code: variable for variable in PURE_VARIABLES}


async def look_up(code: str, value: JsonValue) -> JsonValue:
    async with httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(404))
    ) as http:
        lookup = Lookup(
            value=value,
            context={},
            http=http,
            place={},
            now=lambda: datetime(2024, 5, 1, tzinfo=UTC),
        )
        return await BY_CODE[code].look_up(lookup)


async def test_a_choice_of_several_is_joined() -> None:
    assert await look_up("select", ["a", "b"]) == "a,b"


async def test_the_clock_is_the_worker_s() -> None:
    value: JsonValue = {"time_unit": ["year", "month", "day"], "time_zone": "UTC"}

    assert await look_up("current_time", value) == "2024-05-01"


async def test_a_value_that_cannot_be_used_says_why() -> None:
    with pytest.raises(PluginError):
        await look_up("format_support_datetime", 7)
