"""Recorded cases in which people and outside systems act on a run, played on the Machine."""

from pathlib import Path

import pytest

from activities.expressions import Sandbox
from tests.conformance.__main__ import cases_in, judge_pipeline
from tests.conformance.offline import run_case

CASES = Path(__file__).resolve().parents[1] / "conformance" / "cases"


@pytest.mark.parametrize("group", ["failure", "pause", "schedule"])
async def test_every_recorded_case_of_a_group_comes_out_alike(group: str) -> None:
    cases = cases_in(CASES, [group])

    async with Sandbox(processes=1) as sandbox:
        judged = [judge_pipeline(case, await run_case(case, sandbox)) for case in cases]

    assert judged
    assert {one.id: one.differences for one in judged if one.differences} == {}
