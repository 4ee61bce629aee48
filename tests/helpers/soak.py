"""Operators at many runs on the real server, and the books of what each asked and was told.

Each operator is a client of its own. It looks at a run and gives a verb that may fit what it saw,
as an update or as a signal, sometimes twice at once; meanwhile the others do the same. The books
are then held against what the run tells: its journal, its histories, what its plugins were asked.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from pydantic import JsonValue
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from tests.helpers import build
from tests.helpers.build import task, variable
from tests.helpers.flows import WAIT_S, Asked, Flows, Run, ask, histories, plan, send
from translator.plan import Plan
from workers.client import connect
from workers.server import EmbeddedServer
from workers.settings import Settings

Way: TypeAlias = Literal["update", "signal"]
Answer: TypeAlias = Literal["accepted", "refused", "sent", "gone"]
Fields: TypeAlias = dict[str, JsonValue]

KINDS: Final[tuple[Answer, ...]] = ("accepted", "refused", "sent")
SIGNALS: Final = 0.3
DOUBLED: Final = 0.2
TRIES: Final = 20
PATIENCE: Final = 2_000
"""How often a run is looked at before it is given up, while it is brought to its end."""


class Sent(NamedTuple):
    """A verb that was sent, and what came back; `gone` is a run that had ended."""

    run: str
    verb: str
    node: str
    request_id: str
    way: Way
    answer: Answer


class Candidate(NamedTuple):
    """A verb that may be given."""

    verb: str
    fields: Fields


@dataclass
class Operator:
    """One client with its books; `chance` decides what it does."""

    name: str
    client: Client
    chance: Random
    books: list[Sent] = field(default_factory=list[Sent])
    count: int = 0

    async def act(self, run_id: str) -> None:
        """Look at a run and give it one verb."""
        run = self.run(run_id)
        seen = await look(run)
        chosen = self.chance.choice(candidates(seen, self.next_id()))
        way: Way = "signal" if self.chance.random() < SIGNALS else "update"
        times = 2 if self.chance.random() < DOUBLED else 1
        await asyncio.gather(*(self.give(run, chosen, way) for _ in range(times)))

    async def mend(self, run_id: str) -> None:
        """Resume, retry and answer until the run has ended."""
        run = self.run(run_id)
        for _ in range(PATIENCE):
            seen = await look(run)
            if seen["state"] in ("Finished", "Revoked"):
                return
            for chosen in mending(seen, self.next_id())[:1]:
                await self.give(run, chosen, "update")
        raise AssertionError(f"{run_id} does not end: {await ask(run, 'explain')}")

    async def give(self, run: Run, chosen: Candidate, way: Way) -> None:
        """Give a verb, and book what came back."""
        request = f"{self.name}-{self.count}"
        given: Fields = {**chosen.fields, "operator": self.name, "request_id": request}
        answer = await answered(run, chosen.verb, given, way)
        node = str(chosen.fields.get("node", ""))
        self.books.append(Sent(run.id, chosen.verb, node, request, way, answer))

    def run(self, run_id: str) -> Run:
        """Return the run by this operator's own client."""
        return self.client.get_workflow_handle(run_id)

    def next_id(self) -> str:
        """Count on, and return the id of the next request."""
        self.count += 1
        return f"{self.name}-{self.count}"


async def look(run: Run) -> Any:
    """Ask a run where it stands, until the server has room for the question."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await ask(run, "status")
            except RPCError as error:
                if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                    raise


async def answered(run: Run, name: str, given: Fields, way: Way) -> Answer:
    """Send a verb; a run that has ended answers that it is gone.

    Where the server could not bring an update to a run that was rolling over, nothing was done, and
    it is sent again.
    """
    for _ in range(TRIES):
        try:
            if way == "signal":
                await run.signal(name, given)
                return "sent"
            await send(run, name, [given])
        except WorkflowUpdateFailedError:
            return "refused"
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return "gone"
            if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                raise
        else:
            return "accepted"
    raise AssertionError(f"{run.id} takes no {name}")


# --- what may be given --------------------------------------------------------------------------


def candidates(seen: Mapping[str, Any], request: str) -> list[Candidate]:
    """Return verbs that may fit what was seen, and some that do not."""
    paused = bool(seen.get("paused"))
    found = [
        Candidate("resume" if paused else "pause", {}),
        Candidate("pause", {"node": "sub1"}),
        Candidate("resume", {"node": "sub1"}),
        Candidate("set_variables", {"values": {"x": request}}),
        Candidate("skip", {"node": "nowhere"}),
        Candidate("pause_node", {"node": "last"}),
        Candidate("resume_node", {"node": "last"}),
    ]
    for node in seen.get("failed", ()):
        found += [Candidate("retry", {"node": node["path"]})] * 4
        found += [Candidate("skip", {"node": node["path"]})]
    found += [Candidate("force_fail", {"node": n["path"]}) for n in polls(seen)]
    return found + 3 * [each for n in seen.get("waiting", ()) for each in answers_to(n, request)]


def mending(seen: Mapping[str, Any], request: str) -> list[Candidate]:
    """Return the verbs that bring a run on."""
    resume = [Candidate("resume", {})] if seen.get("paused") else []
    failed = [Candidate("retry", {"node": n["path"]}) for n in seen.get("failed", ())]
    waiting = [each for n in seen.get("waiting", ()) for each in answers_to(n, request)]
    return resume + failed + waiting


def polls(seen: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the nodes that look at work outside; only these are forced to fail."""
    return [node for node in seen.get("running", ()) if node.get("plugin", "").startswith("poll")]


def answers_to(node: Mapping[str, Any], request: str) -> list[Candidate]:
    """Return what a node waits for."""
    path, plugin = str(node["path"]), str(node.get("plugin", ""))
    holder = node.get("held_by")
    if holder is not None:
        verb = "resume_node" if holder == path else "resume"
        return [Candidate(verb, {"node": str(holder)} if holder else {})]
    if plugin.startswith("wait"):
        return [Candidate("callback", {"node": path, "data": request})]
    return [Candidate("set_timer", {"node": path, "seconds": 0})]


def soak_plan() -> Plan:
    """Two forks with failing nodes, callbacks, timers and polls, one with a subflow."""
    inner = build.tree(
        "start i1 iw i2 iw2 end",
        nodes=[*(task(n, code="once") for n in ("i1", "i2")), *(waits("iw"), waits("iw2"))],
    )
    once = [task(n, code="once") for n in ("o1", "o2", "o3", "o4")]
    timers = [task(n, code="sleep_timer", inputs={"bk_timing": "86400"}) for n in ("t1", "t2")]
    looks = [task(n, code="poll", inputs={"looks": 3}) for n in ("p1", "p2")]
    return plan(
        "start fork1 o1 e1 o2 join1 fork2 o3 e3 o4 join2 last end",
        "fork1 w1 e2 w2 join1",
        "fork1 t1 p1 join1",
        "fork1 sub1 join1",
        "fork2 w3 p2 join2",
        "fork2 t2 w4 join2",
        nodes=[
            *once,
            *timers,
            *looks,
            *(waits(n) for n in ("w1", "w2", "w3", "w4")),
            build.subflow("sub1", inner),
        ],
        variables=[variable("x", "first")],
        outputs=["x"],
    )


def waits(name: str) -> build.SourceTask:
    """A task that waits for one callback."""
    return task(name, code="wait")


# --- the soak -----------------------------------------------------------------------------------


class Soaked(NamedTuple):
    """What a soak left: the runs, and all books together."""

    runs: list[Run]
    books: list[Sent]


async def soak(
    flows: Flows, server: EmbeddedServer, *, operators: int, runs: int, rounds: int
) -> Soaked:
    """Let operators at runs for so many rounds each, then bring every run to its end."""
    started = [await flows.start(soak_plan()) for _ in range(runs)]
    crew = [
        Operator(f"op{n}", await connect(Settings(), address=server.address), Random(n))
        for n in range(operators)
    ]

    async def work(operator: Operator) -> None:
        for _ in range(rounds):
            await operator.act(operator.chance.choice(started).id)

    await asyncio.gather(*(work(operator) for operator in crew))
    menders = [(crew[n % operators], run) for n, run in enumerate(started)]
    await asyncio.gather(*(_mend_alone(crew, mender, run) for mender, run in menders))
    return Soaked(started, [sent for operator in crew for sent in operator.books])


async def _mend_alone(crew: Sequence[Operator], mender: Operator, run: Run) -> None:
    """Bring one run to its end under a name of its own, so that request ids stay apart."""
    own = Operator(f"{mender.name}-{run.id}", mender.client, mender.chance)
    await own.mend(run.id)
    crew[0].books.extend(own.books)


# --- what must hold -----------------------------------------------------------------------------


async def check(flows: Flows, run: Run, books: Sequence[Sent]) -> int:
    """Hold one run against the books; returns in how many histories it went on."""
    mine = [sent for sent in books if sent.run == run.id]
    journal = await ask(run, "history")
    assert journal["dropped"] == 0
    done = check_journal(journal["entries"], mine)
    parts = await histories(run)
    check_history(parts, mine)
    check_effects(flows.stage.asked[run.id], done)
    callbacks = [e["request_id"] for e in done if e["verb"] == "callback"]
    assert sorted(map(str, flows.stage.answers[run.id])) == sorted(callbacks)
    ended = await run.result()
    given = [e["request_id"] for e in done if e["verb"] == "set_variables"]
    assert ended["state"] == "finished"
    assert ended["outputs"] == {"x": ["first", *given][-1]}
    return len(parts)


def check_journal(
    entries: Sequence[Mapping[str, Any]], books: Sequence[Sent]
) -> list[Mapping[str, Any]]:
    """Hold the journal against the books; returns the entries of what was done, in order."""
    done = [entry for entry in entries if not entry["refusal"]]
    times = Counter(entry["request_id"] for entry in done)
    noted = {entry["request_id"] for entry in entries}
    assert max(times.values(), default=0) <= 1, f"done twice: {times.most_common(3)}"
    by_id: dict[str, set[tuple[Way, Answer]]] = {}
    for sent in books:
        by_id.setdefault(sent.request_id, set()).add((sent.way, sent.answer))
    assert noted - by_id.keys() == set(), "the journal holds what nobody asked"
    for request, answers in by_id.items():
        if ("update", "accepted") in answers:
            assert times[request] == 1, f"{request} was accepted and is not in the journal"
        elif answers == {("update", "refused")}:
            assert request not in noted, f"{request} was refused and is in the journal"
        elif ("signal", "sent") in answers:
            assert request in noted, f"signal {request} is lost"
    return done


def check_history(parts: Sequence[Sequence[Any]], books: Sequence[Sent]) -> None:
    """Require each signal, and each update that was accepted, to stand in a history once.

    An update that comes while a fresh history loads the plan can only be refused afterwards.
    """
    signals: Counter[str] = Counter()
    updates: Counter[str] = Counter()
    for event in (event for part in parts for event in part):
        if event.HasField("workflow_execution_signaled_event_attributes"):
            payloads = event.workflow_execution_signaled_event_attributes.input.payloads
            signals[json.loads(payloads[0].data)["request_id"]] += 1
        elif event.HasField("workflow_execution_update_accepted_event_attributes"):
            accepted = event.workflow_execution_update_accepted_event_attributes.accepted_request
            updates[json.loads(accepted.input.args.payloads[0].data)["request_id"]] += 1
    answers = {kind: Counter(s.request_id for s in books if s.answer == kind) for kind in KINDS}
    assert signals == answers["sent"]
    assert answers["accepted"] - updates == Counter(), "answered and not in the history"
    late = updates - answers["accepted"]
    assert late - answers["refused"] == Counter(), "in the history and never answered"


def check_effects(asked: Sequence[Asked], done: Sequence[Mapping[str, Any]]) -> None:
    """Require that each execution was called once, and as often as retries were accepted."""
    calls = Counter((step.node, step.entry) for step in asked if step.step == "call")
    assert {key: n for key, n in calls.items() if n > 1} == {}
    retried = Counter(entry["node"] for entry in done if entry["verb"] == "retry")
    for node in {node for node, _ in calls}:
        entries = sorted(entry for name, entry in calls if name == node)
        assert entries == list(range(1, retried[node] + 2)), f"executions of {node}"
