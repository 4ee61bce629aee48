"""The fake platform's door: every API of the reference, credentials, permissions, faults."""

import json
from typing import Any

import pytest

from activities.blueking.apis import APIS
from tests.fake_bk import Site
from tests.helpers.shared import SHARED, needs_shared
from workers.fake_blueking.faults import Fault, FaultKind
from workers.fake_blueking.platform import PREFIX

TOPO = ("GET", "/cc/get_mainline_object_topo/", {"bk_supplier_account": "0"})


@pytest.fixture
def site() -> Site:
    return Site()


def is_served(site: Site, method: str, path: str) -> bool:
    return site.reply(method, path, {}).status != 404


@needs_shared
def test_every_api_of_the_reference_is_served(site: Site) -> None:
    components: list[dict[str, Any]] = json.loads((SHARED / "reference/plugins.json").read_text())
    asked = {api["request"] for component in components for api in component["apis"]}
    ours = [text.replace("{nodemgr entry}", f"{PREFIX}/nodemgr") for text in asked]
    known = [text.replace("{role}", "agent") for text in ours if PREFIX in text]

    unserved = [t for t in known if not is_served(site, *t.replace(PREFIX, "").split(" ", 1))]

    assert len(known) > 60
    assert unserved == []


def test_every_api_that_our_components_call_is_served(site: Site) -> None:
    paths = {
        name: f"/{name.partition('.')[0]}{api.path.replace('{role}', 'agent')}"
        for name, api in APIS.items()
        if not name.startswith(("bcs-", "devops."))  # behind gateways of their own
    }

    assert [n for n, path in paths.items() if not is_served(site, APIS[n].method, path)] == []


def test_a_good_answer_has_the_envelope(site: Site) -> None:
    found = site.answer(*TOPO)

    assert set(found) == {"result", "code", "message", "data", "request_id"}
    assert (found["result"], found["code"]) == (True, 0)


def test_the_newer_node_manager_has_a_code_and_no_result(site: Site) -> None:
    found = site.answer("POST", "/nodemgr/api/v3/cipher/rsa/get_public_key", {})

    assert found["code"] == 0
    assert "result" not in found


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ({"bk_app_secret": "guessed"}, "APP authentication failed"),
        ({"bk_app_code": ""}, "bk_app_code' is required"),
        ({"bk_username": ""}, "bk_username' is required"),
    ],
)
def test_wrong_credentials_are_refused(
    site: Site, credentials: dict[str, str], message: str
) -> None:
    found = site.answer(*TOPO, **credentials)

    assert found["result"] is False
    assert message in found["message"]


def test_a_token_speaks_for_a_user(site: Site) -> None:
    assert site.answer(*TOPO, bk_username="", access_token="t-1")["result"] is True
    assert site.platform.ledger[-1].user == "token:t-1"


def test_a_denied_user_reads_what_is_missing(site: Site) -> None:
    from workers.fake_blueking.world import Denial

    site.platform.world.denials.append(Denial("admin", "cc.*"))
    found = site.answer(*TOPO)

    assert found["code"] == 9900403
    assert found["permission"]["actions"][0]["id"] == "cc.get_mainline_object_topo"


def test_the_ledger_tells_who_asked_what(site: Site) -> None:
    site.answer(*TOPO)
    site.answer("POST", "/cc/search_set/", {"bk_biz_id": 77})

    done, refused = site.platform.calls("cc.*")

    assert (done.api, done.user, done.end) == ("cc.get_mainline_object_topo", "admin", "done")
    assert (refused.end, refused.params) == ("refused", {"bk_biz_id": 77})


SEND = ("POST", "/cmsi/send_sms/", {"receiver__username": "wang", "content": "hello"})


@pytest.mark.parametrize(
    ("kind", "status", "hangs_up", "sent"),
    [
        ("drop", 200, True, 0),
        ("lost", 200, True, 1),
        ("error", 500, False, 0),
        ("busy", 429, False, 0),
        ("gateway", 502, False, 1),
        ("junk", 200, False, 1),
        ("shape", 200, False, 1),
        ("slow", 200, False, 1),
    ],
)
def test_a_fault_strikes_as_often_as_it_says(
    site: Site, kind: FaultKind, status: int, hangs_up: bool, sent: int
) -> None:
    site.platform.faults.append(Fault("cmsi.*", kind, times=1, seconds=3))

    struck = site.reply(*SEND)
    told = len(site.platform.world.messages)
    after = site.reply(*SEND)

    assert (struck.status, struck.hangs_up, told) == (status, hangs_up, sent)
    assert struck.after_s == (3 if kind == "slow" else 0)
    assert json.loads(after.body)["result"] is True


def test_chance_repeats_by_its_seed() -> None:
    def struck() -> list[bool]:
        fault = Fault("*", "drop", probability=0.5, seed=7)
        return [fault.strikes("cc.search_set") for _ in range(20)]

    assert struck() == struck()
    assert 0 < sum(struck()) < 20
