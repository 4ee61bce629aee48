"""The script of a recorded case: when its steps are due, and what they do to a Machine."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.conformance import adapter
from translator.plan import ROOT, Plan
from workflows.machine.events import Verb
from workflows.machine.machine import Given, Machine

TIMEOUT_TEXT = "forced fail by bamboo_engine"
HELD = ("executing", "scheduling", "nth")
WAITING = ("waiting", "inside")


def part(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object that a case may leave out; {} where it does."""
    found: dict[str, Any] | None = holder.get(name)
    return found or {}


class Script:
    """A case's steps, the Machine that they act on, and the answers so far."""

    def __init__(
        self,
        case: Mapping[str, Any],
        plan: Plan,
        machine: Machine,
        recorder: adapter.Recorder,
        operate: Callable[[Verb], None],
    ) -> None:
        self.case = case
        self.machine = machine
        self.recorder = recorder
        recorder.machine = machine
        self.names = adapter.Names(plan, machine, case["tree"]["id"])
        self.steps: list[dict[str, Any]] = list(case["script"])
        self.ops: list[dict[str, Any]] = []
        self.started = False
        self.now: Callable[[], float] = lambda: machine.core.now
        self.counts: dict[str, Mapping[str, int]] = {"executed": {}, "scheduled": {}}
        self._operate = operate

    def dump(self) -> dict[str, Any]:
        """Return what is left to do, and the answers so far, as plain values."""
        return {"steps": self.steps, "ops": self.ops, "started": self.started}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Go on from what a script of an earlier part of the run has kept, if there is one."""
        self.steps = kept.get("steps", self.steps)
        self.ops = kept.get("ops", self.ops)
        self.started = kept.get("started", self.started)

    def is_due(self) -> bool:
        """Say whether the next step's conditions hold."""
        when = self.next_when()
        return when is not None and all(
            self._holds(name, wanted) for name, wanted in when.items() if name != "if_state"
        )

    def next_when(self) -> dict[str, Any] | None:
        """Return what the next step waits for, None when there is none left."""
        return part(self.steps[0], "when") if self.steps else None

    def _holds(self, name: str, wanted: Any) -> bool:
        if name in HELD:
            return False
        if name == "state":
            return self._in_states(wanted)
        if name in self.counts:
            counts = self.counts[name]
            return all(counts.get(node, 0) >= times for node, times in wanted.items())
        if name == "retry":
            return all(self._retries(node) == times for node, times in wanted.items())
        if name == "elapsed":
            return self.now() >= wanted
        return self.started and self.is_idle() if name == "idle" else name == "start"

    def is_idle(self) -> bool:
        """Say whether nothing can happen without an operation."""
        return all(live.phase in WAITING for live in self.machine.state.live.values())

    def _retries(self, node: str) -> int | None:
        found = self.machine.state.nodes.get(self.names.path(node))
        return found.retry if found else None

    def _in_states(self, wanted: Mapping[str, str]) -> bool:
        nodes = self.machine.state.nodes
        return all(
            (found := nodes.get(self.names.path(node))) is not None
            and adapter.ENGINE_STATES[found.status] == state
            for node, state in wanted.items()
        )

    def is_wanted(self, step: Mapping[str, Any]) -> bool:
        """Say whether a conditional step is to be performed now that its turn has come."""
        wanted = part(part(step, "when"), "if_state") or part(step, "if_state")
        return self._in_states(wanted)

    def play_next(self) -> None:
        """Perform the next step, or note that it was not to be performed."""
        step = self.steps.pop(0)
        if self.is_wanted(step):
            self.act(step)
        else:
            self.ops.append({**subject(step), "ok": True, "not_performed": True})

    def act(self, step: Mapping[str, Any]) -> None:
        """Perform an operation and keep the answer."""
        answer = subject(step)
        error: dict[str, str] | None = None
        if step["op"] == "get_states":
            flat = bool(step.get("flat"))
            answer["data"] = adapter.query_states(self.machine, self.names, flat=flat)
        elif step["op"] == "node_timeout":
            self._time_out(step)
        elif step["op"] != "wait":
            error = self._perform(step)
        self.ops.append(
            {**answer, "ok": False, "error": error} if error else {**answer, "ok": True}
        )

    def _perform(self, step: Mapping[str, Any]) -> dict[str, str] | None:
        strange = adapter.strange_operation(step, self.names, self.machine)
        if strange:
            return {"class": strange, "text": "not for this kind of node"}
        verb = adapter.to_verb(step, self.names, self.machine)
        refused = self.machine.refusal(verb, self.machine.core.now)
        if refused:
            kind = adapter.class_of(step, refused, self.names, self.machine)
            return {"class": kind, "text": refused.text}
        found = self.machine.state.nodes.get(verb.node)
        if verb.name in ("retry", "skip", "choose") and found is not None:
            self.recorder.archive(verb.node, adapter.Ended(found.loop, found.retry, skip=False))
        self._operate(verb)
        return None

    def _time_out(self, step: Mapping[str, Any]) -> None:
        """Fire a node's time limit as bamboo-pipeline's handler does."""
        path = self.names.path(step["node"])
        self._operate(Verb("force_fail", path, reason=TIMEOUT_TEXT))
        if step["action"] == "forced_fail_and_skip":
            self._operate(Verb("skip", path))

    def outcome(self) -> dict[str, Any]:
        """Return what has come of the case, in the shape of its `expect`."""
        state, names = self.machine.state, self.names
        root = state.nodes[ROOT]
        wrapped = {f"${{{key}}}": value for key, value in (state.outputs or {}).items()}
        return {
            "run": {"ok": True},
            "pipeline_state": adapter.ENGINE_STATES[root.status],
            "states": adapter.states_of(self.machine, names),
            "order": [[names.id(path), token] for path, token in self.recorder.order],
            "data": {names.id(path): data for path, data in self.recorder.data.items()},
            "history": {names.id(path): rows for path, rows in self.recorder.history.items()},
            "context": adapter.context_of(self.machine, names),
            "pipeline_outputs": wrapped if root.status == "finished" else None,
            "ops": self.ops,
        }


def subject(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an answer that says what was operated on."""
    return {key: step[key] for key in ("op", "node", "pipeline") if key in step}


def given_of(case: Mapping[str, Any]) -> Given:
    """Return what a case starts its run with."""

    def bare(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key[2:-1]: value for key, value in values.items()}

    options = part(case, "run_options")
    return Given(
        variables=bare(part(case, "root_context")),
        inherited=bare(part(case, "subprocess_context")),
        start_at=options.get("start_node_id") or "",
    )
