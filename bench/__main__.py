"""`python -m bench`: stdops beside hand-written Temporal workflows, and every budget of the design.

All contestants run on one embedded server, in turn, round by round; the medians count. Ends with 0
when every budget is met, 1 when one is missed or could not be measured, 2 for a wrong command line,
130 when it was interrupted: what was measured so far is shown, and written, then too.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.budgets import budgets
from bench.contestants import load
from bench.measure import measure_alone, measure_shapes
from bench.picture import picture
from bench.report import as_json, console_of, show
from bench.results import Results
from bench.shapes import Shape, shapes

ROUNDS: Final = 3
ALONE: Final = ("machine", "compile")
REPLAY: Final = "replay"
INTERRUPTED: Final = 130


def parts() -> list[str]:
    """Return what `--shape` may name: the shapes, and what is measured beside them."""
    return [*dict.fromkeys(shape.key for shape in shapes(quick=True)), REPLAY, *ALONE]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="small shapes, one round: about three minutes")
    add("--json", type=Path, metavar="FILE", help="write everything there too, as JSON")
    add("--plot", type=Path, metavar="FILE", help="draw the nodes a second there, as SVG")
    add("--rounds", type=_rounds, metavar="N", help="rounds of each shape that is not very long")
    add(
        "--contestant",
        action="append",
        default=[],
        type=_contestant,
        metavar="MODULE:FUNCTION",
        help="measure another one too; see bench.contestants.Contestant",
    )
    add(
        "--shape",
        action="append",
        default=[],
        choices=parts(),
        metavar="NAME",
        help=f"only this one; several times for several: {', '.join(parts())}",
    )
    return parser.parse_args(argv)


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _contestant(name: str) -> str:
    try:
        return load(name)[0]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def wanted(names: Sequence[str], *, quick: bool) -> list[Shape]:
    """Return the shapes of these names, all for none; a replay needs the line."""
    known = shapes(quick=quick)
    if not names:
        return known
    line = [s for s in known if (s.key, s.kind) == ("line", "activity") and REPLAY in names]
    return [*(shape for shape in known if shape.key in names or shape in line)]


async def measure(options: argparse.Namespace, results: Results) -> None:
    """Run what needs a server; a request to end from outside is heard as Ctrl-C is."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    asked = wanted(options.shape, quick=options.quick)
    if asked:
        await measure_shapes(asked, options.contestant, rounds, results, say)


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, show and write; returns the exit code."""
    options = arguments(argv)
    results, is_complete = Results(), True
    try:
        measure_alone(options.shape, results, say)
        asyncio.run(measure(options, results))
    except (KeyboardInterrupt, asyncio.CancelledError):
        is_complete = False
        say("interrupted; this is what was measured so far")
    show(results, console_of())
    if options.json is not None:
        told = as_json(results, quick=options.quick, is_complete=is_complete)
        options.json.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    if options.plot is not None:
        options.plot.write_text(picture(results.rows), "utf-8")
    if not is_complete:
        return INTERRUPTED
    is_well = not results.failures and all(each.is_met for each in budgets(results))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
