"""What became of the runs, held against the Machine alone and the ledger of the outside."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from activities.contract import RunSettings
from tests.chaos.flows import Mended, expected, mixed, registry
from workers.plans import PlanLoader
from workers.settings import Settings
from workers.store import Store

UNKNOWN: Final = "outcome unknown"
HEADS: Final = ("fault", "how often", "runs", "nodes", "lost", "doubled", "unknown", "seconds")


@dataclass(frozen=True)
class Row:
    """A line of the table.

    times: how often the fault fell. nodes: executions whose work was done outside. lost: runs that
    ended otherwise than they should, and work that was not done. doubled: work done twice for one
    execution, or for one that nobody asked for. unknown: executions of which nobody could say
    whether their work was done, which a person then looked up. skipped: why it was not tried.
    """

    fault: str
    times: int = 0
    runs: int = 0
    nodes: int = 0
    lost: int = 0
    doubled: int = 0
    unknown: int = 0
    seconds: float = 0
    wrong: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def is_well(self) -> bool:
        """Say whether nothing was lost and nothing done twice."""
        return not (self.lost or self.doubled or self.wrong)


class Seen(NamedTuple):
    """What is left of a scenario: how the runs ended, the ledger, what the operator did."""

    ended: Mapping[str, Mapping[str, Any]]
    ledger: Mapping[str, Mapping[str, Any]]
    mended: Sequence[Mended]


class Verdict(NamedTuple):
    """What is wrong, in words."""

    lost: list[str]
    doubled: list[str]
    unsaid: list[str]


def run_settings(settings: Settings) -> RunSettings:
    """Return the settings that a run of the flow is given, as the workers give them."""
    with Store.open("sqlite://") as store:
        return PlanLoader(store, registry(""), settings, ()).run_settings(mixed())


async def judge(seen: Seen, settings: RunSettings) -> Verdict:
    """Hold what was seen against what should have been."""
    lost: list[str] = []
    wanted: set[str] = set()
    made = mixed()
    for run, outcome in seen.ended.items():
        alone = await expected(made, run, settings, seen.mended)
        wanted |= alone.worked
        lost += wrong_end(run, outcome, alone.finish.state, alone.finish.outputs)
    unknown = {each.key for each in seen.mended}
    lost += [f"{key} was never worked for" for key in sorted(wanted - seen.ledger.keys())]
    doubled = [f"{k} {e['jobs']}" for k, e in seen.ledger.items() if len(e["jobs"]) > 1]
    doubled += [f"{key}: nobody asked" for key in seen.ledger.keys() - wanted - unknown]
    unsaid = [f"{m.key}: {m.reason}" for m in seen.mended if not m.reason.startswith(UNKNOWN)]
    return Verdict(lost, doubled, unsaid)


def wrong_end(
    run: str, outcome: Mapping[str, Any], state: str, outputs: Mapping[str, Any]
) -> list[str]:
    """Say where a run ended otherwise than the Machine alone."""
    if outcome["state"] != state:
        return [f"{run} is {outcome['state']} instead of {state}"]
    pairs = ((key, outcome["outputs"].get(key), value) for key, value in outputs.items())
    return [f"{run} {key}: {got!r} instead of {want!r}" for key, got, want in pairs if got != want]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [f"| {' | '.join(HEADS)} |", f"|---|{'---:|' * (len(HEADS) - 1)}"]
    for row in rows:
        cells = (row.times, row.runs, row.nodes, row.lost, row.doubled, row.unknown)
        shown = [str(cell) for cell in cells] + [f"{row.seconds:.0f}"]
        shown = [f"not tried: {row.skipped}", *[""] * 6] if row.skipped else shown
        lines.append(f"| {row.fault} | {' | '.join(shown)} |")
    return "\n".join(lines)


def as_json(row: Row) -> dict[str, Any]:
    """Return a row as JSON data."""
    return asdict(row) | {"well": row.is_well}
