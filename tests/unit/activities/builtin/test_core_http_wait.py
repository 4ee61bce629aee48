import httpx
import pytest
from pydantic import JsonValue

from activities.builtin.http_wait import http_wait
from activities.contract import Done, Failed, Polling
from activities.steps import TryAgain
from activities.testing import Answer, Stage

URL = "http://outside.test/state"


def states(*answers: httpx.Response | None) -> Answer:
    """Answer with each in turn, the last one for ever; None is a refused connection."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        found = left.pop(0) if len(left) > 1 else left[0]
        if found is None:
            raise httpx.ConnectError("refused", request=request)
        return found

    return answer


def state(name: str) -> httpx.Response:
    return httpx.Response(200, json={"state": name})


@pytest.fixture
def wait_for_done() -> dict[str, JsonValue]:
    return {"url": URL, "until": 'json.state == "done"', "every_s": 5}


async def test_it_looks_until_the_condition_holds(wait_for_done: dict[str, JsonValue]) -> None:
    outside = states(None, httpx.Response(503), state("running"), state("done"))
    async with Stage(outside) as stage:
        outcome = await stage.run(http_wait, wait_for_done)

    assert isinstance(outcome, Done)
    assert outcome.outputs["json"] == {"state": "done"}
    assert stage.elapsed_s == 15


async def test_without_a_condition_a_good_status_is_waited_for() -> None:
    async with Stage(states(httpx.Response(404), httpx.Response(204))) as stage:
        outcome = await stage.run(http_wait, {"url": URL})

    assert isinstance(outcome, Done)


async def test_it_gives_up_at_its_limit_with_what_it_saw(
    wait_for_done: dict[str, JsonValue],
) -> None:
    async with Stage(states(state("running"))) as stage:
        outcome = await stage.run(http_wait, {**wait_for_done, "at_most_s": 12})

    assert isinstance(outcome, Failed)
    assert outcome.error == (
        'waited 12 s for json.state == "done", in vain; look 4 saw 200 OK: {"state":"running"}'
    )
    assert stage.elapsed_s == 12


async def test_a_condition_ends_the_waiting_early(wait_for_done: dict[str, JsonValue]) -> None:
    inputs = {**wait_for_done, "fail_if": "json.state in ('failed', 'gone')"}
    async with Stage(states(state("running"), state("failed"))) as stage:
        outcome = await stage.run(http_wait, inputs)

    assert isinstance(outcome, Failed)
    assert outcome.outputs["json"] == {"state": "failed"}


async def test_errors_count_where_the_node_says_so(wait_for_done: dict[str, JsonValue]) -> None:
    async with Stage(states(httpx.Response(403))) as stage:
        outcome = await stage.run(http_wait, {**wait_for_done, "tolerate_errors": False})

    assert isinstance(outcome, Failed)
    assert "403" in outcome.error


async def test_an_address_that_may_not_be_reached_is_no_reason_to_wait() -> None:
    async with Stage(states(httpx.Response(200))) as stage:
        outcome = await stage.run(http_wait, {"url": "ftp://outside.test/x"})

    assert isinstance(outcome, Failed)
    assert stage.requests == []


async def test_the_note_tells_the_look_and_the_status_but_not_the_answer() -> None:
    async with Stage(states(httpx.Response(503, text="confidential"))) as stage:
        first = await stage.call(http_wait, {"url": URL})
        assert isinstance(first, Polling)
        second = await stage.poll(http_wait, {"url": URL}, first.handle)

    assert first.note == "look 1: 503 Service Unavailable"
    assert isinstance(second, TryAgain)
    assert second.note == "look 2: 503 Service Unavailable"
