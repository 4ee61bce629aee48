"""The limit of calls per second holds for all steps of a worker together."""

import asyncio
import selectors
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, TypeVar

import httpx
import pytest

from activities.blueking.job.scripts import SCRIPTS
from activities.contract import Polling
from activities.steps import StepResult, TryAgain
from activities.testing import Stage
from tests.helpers.job_platform import RUNNING, Json, Platform, on_stage

SCRIPT = SCRIPTS[-1]
FORM: Json = {"job_content": "ls", "job_ip_list": "1", "job_account": "root"}
JOBS = 500
RATE = 20
TICK_S = 1e-6

T = TypeVar("T")


class _Quick(selectors.SelectSelector):
    """Waits for nothing: where a loop would sleep, its clock moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return what is ready; let the time pass that the loop would wait, and never stand."""
        self.now += max(timeout or 0, TICK_S)
        return super().select(0)


class _QuickLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock shows what would have been waited."""

    def __init__(self) -> None:
        self._quick = _Quick()
        super().__init__(self._quick)

    def time(self) -> float:
        """Return the time of this loop."""
        return self._quick.now


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await work()

    with asyncio.Runner(loop_factory=_QuickLoop) as runner:
        return runner.run(main())


class Timed(Platform):
    """A platform that notes when it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.states = {number: [RUNNING] for number in range(777, 777 + JOBS)}
        self.times: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.times.append(asyncio.get_running_loop().time())
        return super().__call__(request)

    def most_in_a_second(self) -> int:
        """Return how many calls the busiest second has."""
        ends = (bisect_left(self.times, at + 1) for at in self.times)
        return max(end - begin for begin, end in enumerate(ends))


async def all_jobs(stage: Stage) -> list[StepResult]:
    begun = await asyncio.gather(*(stage.call(SCRIPT, FORM) for _ in range(JOBS)))
    started = [each for each in begun if isinstance(each, Polling)]
    looks = (stage.poll(SCRIPT, FORM, each.handle, each.outputs) for each in started)
    return await asyncio.gather(*looks)


def test_500_jobs_at_once_stay_within_the_limit_and_each_step_within_its_time() -> None:
    platform = Timed()

    async def work() -> tuple[list[StepResult], float]:
        async with on_stage(platform, calls_per_second=RATE) as stage:
            ends = await all_jobs(stage)
            return ends, asyncio.get_running_loop().time()

    ends, elapsed_s = run(work)
    calls = len(platform.times)
    assert [end.kind for end in ends if isinstance(end, TryAgain)] == ["still_running"] * JOBS
    assert calls == JOBS * 3
    assert elapsed_s == pytest.approx((calls - 1) / RATE, rel=0.02)
    assert platform.most_in_a_second() <= RATE
    assert all(earlier <= later for earlier, later in pairwise(platform.times))


def test_a_step_that_waits_too_long_for_its_turn_has_sent_nothing_and_is_tried_again() -> None:
    platform = Timed()

    async def work() -> list[StepResult]:
        async with on_stage(platform, calls_per_second=0.01) as stage:
            return await asyncio.gather(*(stage.call(SCRIPT, FORM) for _ in range(5)))

    found = run(work)
    again = [each for each in found if isinstance(each, TryAgain)]
    assert again
    assert {each.kind for each in again} == {"not_taken"}
    assert "raise blueking.calls_per_second" in again[0].what
    assert all(each.outputs == {} for each in again)


@pytest.mark.parametrize("rate", [0.5, 1, 2.5])
def test_a_limit_may_be_any_number(rate: float) -> None:
    platform = Timed()

    async def work() -> float:
        async with on_stage(platform, calls_per_second=rate) as stage:
            await asyncio.gather(*(stage.call(SCRIPT, FORM) for _ in range(5)))
            return asyncio.get_running_loop().time()

    elapsed_s = run(work)
    assert elapsed_s == pytest.approx((len(platform.times) - 1) / rate, rel=0.02)


async def test_credentials_language_and_tenant_are_in_the_headers() -> None:
    platform = Platform()
    async with on_stage(platform, {"language": "en"}, tenant="t1", test_environment=True) as stage:
        await stage.run(SCRIPT, FORM)
    headers = [dict(request.headers) for request in platform.requests]
    assert len(headers) > 3
    for each in headers:
        assert each["x-bkapi-authorization"] == (
            '{"bk_app_code": "stdops", "bk_app_secret": "hush", "bk_username": "bob"}'
        )
        assert each["blueking-language"] == "en"
        assert each["x-bk-tenant-id"] == "t1"
        assert each["x-use-test-env"] == "1"


async def test_an_access_token_speaks_instead_of_the_user() -> None:
    platform = Platform()
    async with on_stage(platform, access_token="tok") as stage:
        await stage.run(SCRIPT, FORM)
    headers = dict(platform.requests[0].headers)
    assert headers["x-bkapi-authorization"] == (
        '{"bk_app_code": "stdops", "bk_app_secret": "hush", "access_token": "tok"}'
    )
    assert {"blueking-language", "x-bk-tenant-id", "x-use-test-env"}.isdisjoint(headers)
