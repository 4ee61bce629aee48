"""Where the APIs of the platform are found."""

import pytest

from activities.blueking.config import BlueKingSettings
from tests.helpers.systems_platform import Json


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"esb_url": "https://paas.test"}, "https://paas.test/api/c/compapi/v2/nodeman/api/x/"),
        ({"entries": {"nodeman": "https://gw.test/prod/"}}, "https://gw.test/prod/x/"),
    ],
    ids=["esb", "entry"],
)
def test_an_entry_of_a_system_stands_for_its_whole_place(settings: Json, url: str) -> None:
    assert BlueKingSettings.model_validate(settings).url_of("nodeman", "/api/x/") == url


def test_the_newer_node_manager_keeps_its_path() -> None:
    settings = BlueKingSettings(entries={"nodemgr": "https://mgr.test"})
    assert settings.url_of("nodemgr", "/api/v3/x") == "https://mgr.test/api/v3/x"
