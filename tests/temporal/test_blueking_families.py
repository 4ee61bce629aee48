"""Every component-version of BlueKing on the real server, each way that it can end.

The rows say what is asked of the platform, field by field, as the reference has it; the table of
what they cover is printed by `python -m tests.tools.blueking_coverage`.
"""

import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from temporalio.client import Client

from activities.blueking.catalogue import components
from tests.helpers.blueking_families.checks import faults_of
from tests.helpers.blueking_families.rows import Row
from tests.helpers.blueking_families.running import run_rows
from tests.helpers.blueking_families.table import SETTINGS, every_row, first_rows, uncovered

LIMIT_S = 400
"""Longer than other tests may take: some hundred rows, some with looks ten seconds apart."""


async def _wrong(client: Client, folder: Path, rows: Sequence[Row]) -> dict[str, list[str]]:
    """Run rows and return what is wrong with those that have not ended as they say."""
    ends = await run_rows(client, folder, rows, **SETTINGS)
    found = {row.name: faults_of(row, ends[row.name]) for row in rows}
    return {name: faults for name, faults in found.items() if faults}


def test_each_component_version_has_a_way_that_ends_well_and_one_that_does_not() -> None:
    assert uncovered(components(), every_row()) == []


def test_no_two_rows_have_one_name() -> None:
    names = Counter(row.name for row in every_row())

    assert [name for name, count in names.items() if count > 1] == []


async def test_each_component_version_asks_what_the_reference_says(
    client: Client, tmp_path: Path
) -> None:
    assert await _wrong(client, tmp_path, first_rows()) == {}


@pytest.mark.slow
async def test_each_way_of_each_component_version_ends_as_the_reference_says(
    client: Client, tmp_path: Path
) -> None:
    signal.alarm(LIMIT_S)

    assert await _wrong(client, tmp_path, every_row()) == {}
