import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.contract import LoadedPlan, RunSettings
from stdops import StdopsError
from translator.plan import End, Flow, Plan, Start
from workers.client import (
    DATA_CONVERTER,
    Runs,
    StartRequest,
    connect,
    list_query,
    new_workflow_id,
    refusal,
    run_input,
)
from workers.settings import Settings


def test_a_workflow_id_names_its_template() -> None:
    first, second = new_workflow_id("release"), new_workflow_id("release")

    assert first != second
    assert first.startswith("release-")
    assert int(first.removeprefix("release-"), 16) >= 0
    assert len(first) == len("release-") + 8


def test_the_input_is_one_object() -> None:
    request = StartRequest("release", inputs={"biz_id": 2}, on_failure="fail")

    assert run_input(request, "ann") == {
        "template": "release",
        "version": None,
        "inputs": {"biz_id": 2},
        "operator": "ann",
        "on_failure": "fail",
    }


def test_what_the_request_says_wins_over_the_setting() -> None:
    request = StartRequest("release", operator="bob", options={"digest": "d"})

    sent = run_input(request, "ann")

    assert (sent["operator"], sent["digest"]) == ("bob", "d")
    assert "on_failure" not in sent


@pytest.mark.parametrize(
    ("state", "template", "query"),
    [
        (None, None, "TaskQueue = 'stdops'"),
        ("Failed", None, "TaskQueue = 'stdops' AND StdopsState = 'Failed'"),
        (
            None,
            "it's",
            "TaskQueue = 'stdops' AND (StdopsTemplate = 'it''s' OR WorkflowType = 'it''s')",
        ),
    ],
)
def test_a_list_asks_for_the_queue_state_and_template(
    state: str | None, template: str | None, query: str
) -> None:
    assert list_query("stdops", state=state, template=template) == query


def test_a_refusal_keeps_the_run_s_code() -> None:
    said = refusal(ApplicationError("SOP312 node 'n1' is running", type="SOP312"), "release-1")

    assert str(said) == "SOP312 node 'n1' is running (run release-1)"


@pytest.mark.parametrize("cause", [ApplicationError("no", type="ValueError"), ValueError("no")])
def test_a_refusal_without_a_code_gets_the_general_one(cause: Exception) -> None:
    said = refusal(WorkflowUpdateFailedError(cause).cause, "release-1")

    assert (said.code, said.what) == ("SOP300", "no")


async def test_without_a_server_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")

    with pytest.raises(StdopsError, match=r"SOP503 no Temporal server at 127\.0\.0\.1:1") as caught:
        await connect(Settings())

    assert caught.value.fix == "start one with `stdops dev` or set TEMPORAL_ADDRESS"


async def test_a_client_that_was_made_without_a_server_says_the_same_later() -> None:
    client = await connect(Settings(), address="127.0.0.1:1", lazy=True)

    with pytest.raises(StdopsError, match=r"^SOP503 no Temporal server at 127\.0\.0\.1:1;"):
        await Runs(client, Settings()).verb("release-1", "pause", {})


async def test_an_unknown_profile_is_said() -> None:
    with pytest.raises(StdopsError, match="SOP503 the Temporal connection settings") as caught:
        await connect(Settings(temporal_profile="nowhere"))

    assert "STDOPS_TEMPORAL_PROFILE" in caught.value.fix


def _plan(name: str) -> LoadedPlan:
    flow = Flow(start="s", nodes={"s": Start(id="s", name=name, next="e"), "e": End(id="e")})
    plan = Plan(template_key="k", flow=flow)
    return LoadedPlan(plan=plan, digest=plan.digest, settings=RunSettings())


@pytest.mark.parametrize(("length", "encoding"), [(10, "json/plain"), (200_000, "json/zlib")])
async def test_large_values_are_compressed_and_come_back_equal(length: int, encoding: str) -> None:
    loaded = _plan("n" * length)

    [payload] = await DATA_CONVERTER.encode([loaded])
    [back] = await DATA_CONVERTER.decode([payload], [LoadedPlan])

    assert payload.metadata["encoding"] == encoding.encode()
    assert back == loaded
    assert len(payload.data) < 128 * 1024


async def test_a_payload_that_blows_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    [payload] = await DATA_CONVERTER.encode(["x" * 200_000])
    monkeypatch.setattr("workers.client._LARGEST", 1000)

    with pytest.raises(Exception, match="larger than 1000 bytes"):
        await DATA_CONVERTER.decode([payload], [str])
