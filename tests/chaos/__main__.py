"""Breaks what runs stand on, one fault after the other, and prints what became of the runs.

    python -m tests.chaos [--quick] [--seed N] [--only NAME] [--runs N] [--json FILE]

`--quick` has few runs a fault and one blow; `--only` takes the faults whose name has the text.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.chaos.faults import FAULTS, Fault, faketime_library, mount_small, unmount
from tests.chaos.judging import Row, Seen, as_json, judge, run_settings, table
from tests.chaos.site import Site, end_of, open_site, operated, start_run

QUICK_RUNS: Final = 6
LONGEST_S: Final = 300.0
AT_FIRST_S: Final = 1.0
MOST_SHOWN: Final = 10


class Scale(NamedTuple):
    """How large a scenario is: how many runs, how many blows at most."""

    runs: int
    times: int


async def blows(site: Site, fault: Fault, times: int, chance: Random) -> int:
    """Let the fault fall, for as long as there are runs; returns how often it did."""
    count = 0
    await site.pause(AT_FIRST_S)
    while count < times and not site.ended.is_set():
        await fault.blow(site, chance)
        count += 1
        await site.pause(fault.pause_s * (0.5 + chance.random()))
    return count


async def play(site: Site, fault: Fault, scale: Scale, chance: Random) -> Row:
    """Start the runs, let the fault fall on them, and judge what came of them."""
    began = time.monotonic()
    falling = asyncio.ensure_future(blows(site, fault, scale.times, chance))
    async with operated(site):
        runs = await asyncio.gather(*(start_run(site, n) for n in range(scale.runs)))
        try:
            async with asyncio.timeout(LONGEST_S):
                ends = await asyncio.gather(*map(end_of, runs))
        except TimeoutError:
            return Row(fault.name, runs=scale.runs, lost=scale.runs, wrong=("they do not end",))
        finally:
            site.ended.set()
            count = await falling
    ended = {run.id: end for run, end in zip(runs, ends, strict=True)}
    ledger = (await site.ask("/ledger"))["ledger"]
    seconds = time.monotonic() - began
    verdict = await judge(Seen(ended, ledger, site.mended), run_settings(site.settings))
    return Row(
        fault.name,
        count,
        len(runs),
        len(ledger),
        len(verdict.lost),
        len(verdict.doubled),
        len(site.mended),
        seconds,
        (*verdict.lost, *verdict.doubled, *verdict.unsaid),
    )


async def scenario(fault: Fault, scale: Scale, seed: int) -> Row:
    """Play one fault on a site of its own."""
    if missing := fault.needs():
        return Row(fault.name, skipped=missing)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        store = folder / "store"
        if fault.small_store:
            mount_small(store)
        try:
            return await on_site(fault, scale, seed, folder)
        finally:
            if fault.small_store:
                unmount(store)


async def on_site(fault: Fault, scale: Scale, seed: int, folder: Path) -> Row:
    """Open the site of a fault and play it there."""
    async with open_site(folder, seed, folder / "store") as site:
        if fault.name.startswith("clock"):
            await with_another_clock(site)
        return await play(site, fault, scale, Random(seed))


async def with_another_clock(site: Site) -> None:
    """Start the workers anew with a clock that can be set."""
    file = site.folder / "clock"
    file.write_text("+0", encoding="utf-8")
    site.environment |= {
        "LD_PRELOAD": str(faketime_library()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    for name in site.workers:
        await site.kill(name)
        await site.start(name)


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m tests.chaos", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs, one blow")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="faults whose name has this text")
    parser.add_argument("--runs", type=int, default=0, help="so many runs a fault")
    parser.add_argument("--json", type=Path, help="write the table there, too")
    return parser.parse_args(arguments)


async def main(arguments: list[str]) -> int:
    """Play the faults, print the table, and return 1 where something is wrong."""
    given, rows = options(arguments), list[Row]()
    for fault in (each for each in FAULTS if given.only in each.name):
        runs = given.runs or (QUICK_RUNS if given.quick else fault.runs)
        scale = Scale(runs, min(1, fault.times) if given.quick else fault.times)
        rows.append(await scenario(fault, scale, given.seed))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
        for line in rows[-1].wrong[:MOST_SHOWN]:
            print(f"    {line}", flush=True)
    print(f"\n{table(rows)}")
    if given.json:
        given.json.write_text(json.dumps([as_json(row) for row in rows], indent=1), "utf-8")
    return 0 if all(row.is_well for row in rows) else 1


if __name__ == "__main__":
    for found in [name for name in os.environ if name.startswith(("STDOPS_", "TEMPORAL_"))]:
        del os.environ[found]  # the settings of the machine are none of ours
    sys.exit(asyncio.run(main(sys.argv[1:])))
