"""The last section of `docs/operating.md`: which verb is accepted where, as the Machine answers.

`python -m tests.tools.verb_table` prints it; `--write` puts it into the page.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from activities.contract import Polling, Waiting
from tests.helpers.plans import flow, plan, settings, subflow, task, variable
from tests.helpers.runs import Run
from tests.tools.sections import Section
from translator.plan import AutoRetry, Task
from workflows.machine.checks import Refusal
from workflows.machine.events import Verb, VerbName
from workflows.machine.verbs import VERBS

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
BEGIN: Final = "<!-- verbs: written by python -m tests.tools.verb_table --write -->\n"
END: Final = "<!-- verbs: end -->\n"
HEAD: Final = "## Which verb is accepted where\n"
CELLS: Final = """A cell says **yes**, or why not: `kind` the verb is for another kind of node,
`state` the node is in another state, `reach` it was not reached, `option` the template does not
allow it, `wait` nothing is waited for, `ended` the run is over.
"""
SAYS: Final = """What a refusal says, at the place where it is met first. Of a run that is over each
verb says that, whatever node is named.
"""
Answers: TypeAlias = Mapping[str, Mapping[VerbName, Refusal | None]]

MARKS: Final[Mapping[str, str]] = {
    "not_reached": "reach",
    "wrong_kind": "kind",
    "wrong_state": "state",
    "not_allowed": "option",
    "no_branch": "branch",
    "not_waiting": "wait",
    "wrong_value": "value",
    "used_before": "id",
    "ended": "ended",
}


def at_task(prepare: Callable[[Run], object], **options: Any) -> Run:
    """A run of one task, brought to a state."""
    run = Run(plan("n", nodes=[task("n", **options)], variables=[variable("v")]))
    prepare(run)
    return run


def after_failure(verb: VerbName | None = None, *, paused: bool = False, **options: Any) -> Run:
    """A run whose task has failed, and what was done then."""

    def prepare(run: Run) -> None:
        run.lose("n")
        if paused:
            run.do("pause")
        if verb is not None:
            run.do(verb, "n")

    return at_task(prepare, **options)


def at_gateway(name: str) -> Run:
    """A run whose gateway finds no branch that holds."""
    chains = (f"{name} a join1", f"{name} b join1", "join1 end")
    return Run(plan(*chains, conditions={f"{name}-a": "1 == 2", f"{name}-b": "1 == 2"}))


def at_subflow(*verbs: VerbName, failed: bool = False) -> Run:
    """A run inside a subflow, and what was done to it."""
    inner = flow("m", variables=[variable("v")])
    run = Run(plan("n", nodes=[subflow("n", inner)]))
    if failed:
        run.lose("n/m")
    for verb in verbs:
        run.do(verb, "n")
    return run


def at_start() -> Run:
    """A run whose start event cannot render a variable."""
    early = variable("w", "${v + 1}", pre_render=True)
    run = Run(plan("n", variables=[early]))
    run.resolve("start", error="no value")
    return run


def queued() -> Run:
    """A run whose task waits for a slot."""
    chains = ("fork1 a join1", "fork1 n join1", "join1 end")
    return Run(plan(*chains), settings(in_flight=1))


def over(run: Run) -> Run:
    """The run, revoked."""
    run.do("revoke")
    return run


def entering() -> Run:
    """A run that evaluates a subflow's parameters."""
    made = subflow("n", flow("m", variables=[variable("v")]), {"w": "${v + 1}"})
    return Run(plan("n", nodes=[made], variables=[variable("v", 1)]))


def held(run: Run) -> Run:
    """The run, its second node held."""
    run.do("pause_node", "n")
    return run


def finished(run: Run) -> Run:
    """The run, its first task finished."""
    run.answer("n")
    return run


def in_fork() -> Run:
    """A run with one branch done."""
    run = Run(plan("fork1 a join1", "fork1 b join1", "join1 end"))
    run.answer("a")
    return run


def sleeper() -> Task:
    """A task that waits for a minute."""
    return task("n", {"for": 60}, plugin="timer")


RETRYING: Final = AutoRetry(times=1, interval_s=9)
STATES: Final[tuple[tuple[str, str, Callable[[], Run]], ...]] = (
    ("task, not reached", "n", lambda: Run(plan("a n"))),
    ("task, held", "n", lambda: held(Run(plan("a n")))),
    ("task, ready (retried in a pause)", "n", lambda: after_failure("retry", paused=True)),
    ("task, queued for a slot", "n", queued),
    ("task, called", "n", lambda: Run(plan("n"))),
    ("task, polled", "n", lambda: at_task(lambda r: r.answer("n", Polling(handle=1, after_s=1)))),
    ("task, waits for a callback", "n", lambda: at_task(lambda r: r.answer("n", Waiting()))),
    ("task, waits for a time", "n", lambda: Run(plan("n", nodes=[sleeper()]))),
    ("task, failed", "n", after_failure),
    ("task, failed, not retryable", "n", lambda: after_failure(retryable=False)),
    ("task, failed, not skippable", "n", lambda: after_failure(skippable=False)),
    ("task, waits for its automatic retry", "n", lambda: after_failure(auto_retry=RETRYING)),
    ("task, finished", "n", lambda: finished(Run(plan("n b")))),
    ("task, finished, inside a fork", "a", in_fork),
    ("start event, failed", "start", at_start),
    ("exclusive gateway, failed", "xor1", lambda: at_gateway("xor1")),
    ("conditional fork, failed", "some1", lambda: at_gateway("some1")),
    ("subflow, being entered", "n", entering),
    ("subflow, under way", "n", at_subflow),
    ("subflow, a node inside has failed", "n", lambda: at_subflow(failed=True)),
    ("subflow, paused", "n", lambda: at_subflow("pause")),
    ("subflow, revoked", "n", lambda: at_subflow("revoke")),
    ("the run, under way", "", lambda: at_task(lambda _: None)),
    ("the run, paused", "", lambda: at_task(lambda r: r.do("pause"))),
    ("the run, over", "", lambda: over(Run(plan("n")))),
)


def asked(name: VerbName, node: str) -> Verb:
    """The verb with what it needs to be accepted."""
    branches = {"xor1": ("xor1-a",), "some1": ("some1-a", "some1-b")}
    return Verb(name, node, data=5, values={"v": 1}, branches=branches.get(node, ()))


def refusals(node: str, run: Run) -> dict[VerbName, Refusal | None]:
    """What the Machine answers to every verb on a node; None is that it is accepted."""
    return {name: run.machine.refusal(asked(name, node), run.now) for name in VERBS}


def mark(refused: Refusal | None) -> str:
    """What stands in a cell."""
    return "**yes**" if refused is None else MARKS[refused.code]


def table(answers: Answers) -> str:
    """Which verb is accepted where, in Markdown."""
    names = list(VERBS)
    head = [f"| where | {' | '.join(f'`{name}`' for name in names)} |"]
    rule = [f"|---|{'---|' * len(names)}"]
    rows = [
        f"| {title} | {' | '.join(mark(found[name]) for name in names)} |"
        for title, found in answers.items()
    ]
    return "\n".join([*head, *rule, *rows]) + "\n"


def effects() -> str:
    """What each verb does, in Markdown."""
    rows = [f"| `{name}` | {rule.about} |" for name, rule in VERBS.items()]
    return "\n".join(["| verb | effect |", "|---|---|", *rows]) + "\n"


def wordings(answers: Answers) -> str:
    """What each refusal of each verb says, at the first place where it is met, in Markdown."""
    met: dict[tuple[str, str], tuple[str, str]] = {}
    for title, found in answers.items():
        for name, refused in found.items():
            if refused is not None and refused.code != "ended":
                met.setdefault((name, MARKS[refused.code]), (title, refused.text))
    order = {name: place for place, name in enumerate(VERBS)}
    rows = [
        f"| `{name}` | {why} | {title} | {text.replace('|', '/')} |"
        for (name, why), (title, text) in sorted(met.items(), key=lambda each: order[each[0][0]])
    ]
    return (
        "\n".join(["| verb | why not | where | what it says |", "|---|---|---|---|", *rows]) + "\n"
    )


def section() -> str:
    """The whole section, in Markdown."""
    answers = {title: refusals(node, make()) for title, node, make in STATES}
    return f"\n{HEAD}\n{effects()}\n{CELLS}\n{table(answers)}\n{SAYS}\n{wordings(answers)}\n"


SECTION: Final = Section(PAGE, BEGIN, END, section)


if __name__ == "__main__":
    sys.exit(SECTION.main(sys.argv[1:]))
