"""What one worker keeps for its plugins."""

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from activities.calls import Call, Inputs, Outputs
from activities.contract import Done, Failed
from activities.sdk import plugin
from activities.shelf import Shelf, ShelfError
from activities.testing import Stage


class Gate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    password: SecretStr = SecretStr("")


class Nothing(Inputs):
    pass


class Address(Outputs):
    url: str


@plugin("knock")
async def knock(call: Call[Nothing]) -> Address:
    return Address(url=call.shelf.settings("gate", Gate).url)


def test_a_plugin_reads_its_own_table() -> None:
    assert Shelf({"gate": {"url": "http://a"}}).settings("gate", Gate) == Gate(url="http://a")


def test_a_wrong_table_is_told_without_its_values() -> None:
    with pytest.raises(ShelfError) as raised:
        Shelf({"gate": {"pasword": "hunter2"}}).settings("gate", Gate)
    assert "pasword" in str(raised.value)
    assert "url" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_what_is_shared_is_made_once() -> None:
    shelf = Shelf()
    assert shelf.shared("limit", list[int]) is shelf.shared("limit", list[int])


async def test_a_node_whose_plugin_is_set_wrongly_fails_with_the_cure() -> None:
    async with Stage(settings={"gate": {"url": "http://a"}}) as stage:
        assert await stage.run(knock, {}) == Done(outputs={"url": "http://a"})
    async with Stage() as stage:
        failed = await stage.run(knock, {})
    assert isinstance(failed, Failed)
    assert "[plugins.gate]" in failed.error
