"""Where a recorded case meets a decided deviation: found by what the case does, judged by its rule.

The rules are those of the table in `docs/semantics.md`. A rule looks at the case (never at its id)
and says whether it is touched; its judge looks at our outcome.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Case = Mapping[str, Any]
Outcome = Mapping[str, Any]


class Deviation(NamedTuple):
    """A deviation: which cases it touches, and what must hold instead of the engine's outcome."""

    title: str
    touches: Callable[[Case], bool]
    judge: Callable[[Case, Outcome], list[str]]


def ops(case: Case) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return the operations of a case with what the engine answered."""
    return zip(case["script"], case["expect"]["ops"], strict=False)


def done(case: Case, *names: str) -> bool:
    """Say whether the engine accepted one of the operations named."""
    return any(step["op"] in names and answer.get("ok") for step, answer in ops(case))


def activities(tree: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return every activity of a tree with the id of its flow, nested flows included."""
    for node in tree.get("activities", {}).values():
        yield tree["id"], node
        if "pipeline" in node:
            yield from activities(node["pipeline"])


def gateways(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return every gateway of a tree, nested flows included."""
    yield from tree.get("gateways", {}).values()
    for node in tree.get("activities", {}).values():
        if "pipeline" in node:
            yield from gateways(node["pipeline"])


def running(outcome: Outcome) -> list[str]:
    """Return the nodes, other than flows, that are left running."""
    return [node for node, row in outcome["states"].items() if row["state"] == "RUNNING"]


# --- revoke -----------------------------------------------------------------------------------


def revokes_run(case: Case) -> bool:
    """Touch cases in which the whole run is revoked."""
    root = case["tree"]["id"]
    return any(
        step["op"] == "revoke_pipeline" and step["pipeline"] == root and answer.get("ok")
        for step, answer in ops(case)
    )


def judge_revoke(case: Case, outcome: Outcome) -> list[str]:
    """Require that nothing goes on after a revoke, and that every later verb is refused."""
    found = [f"{node} still runs after the revoke" for node in running(outcome)]
    if outcome["pipeline_state"] != "REVOKED":
        found.append(f"pipeline_state: REVOKED expected, got {outcome['pipeline_state']}")
    revoked = False
    for answer in outcome["ops"]:
        acts = answer["op"] not in ("wait", "get_states", "preview")
        if revoked and acts and answer.get("ok"):
            found.append(f"{answer['op']} was accepted after the revoke")
        revoked = revoked or (answer["op"] == "revoke_pipeline" and bool(answer.get("ok")))
    return found


def revokes_subflow(case: Case) -> bool:
    """Touch cases in which a subprocess is revoked."""
    root = case["tree"]["id"]
    return any(
        step["op"] == "revoke_pipeline" and step["pipeline"] != root and answer.get("ok")
        for step, answer in ops(case)
    )


def judge_subflow(case: Case, outcome: Outcome) -> list[str]:
    """Require that a revoked subprocess has failed, so that a person can retry or skip it."""
    revoked = [s["pipeline"] for s in case["script"] if s["op"] == "revoke_pipeline"]
    rows = outcome["states"]
    return [
        f"subprocess {node}: FAILED or moved on expected, got {rows[node]['state']}"
        for node in revoked
        if node in rows and rows[node]["state"] not in ("FAILED", "FINISHED")
    ]


# --- nodes ------------------------------------------------------------------------------------


def pauses_running(case: Case) -> bool:
    """Touch cases in which the engine holds a node that is already running."""
    for step, answer in ops(case):
        if step["op"] == "pause_node" and answer.get("ok"):
            states = case["expect"]["transitions"].get(step["node"], [])
            if "RUNNING" in states and states.index("RUNNING") < states.index("SUSPENDED"):
                return True
    return False


def judge_pause(case: Case, outcome: Outcome) -> list[str]:
    """Require that holding a running node is refused and leaves it as it was."""
    wanted = {s["node"] for s in case["script"] if s["op"] == "pause_node"}
    found = [
        f"pause_node of running {answer['node']} was accepted"
        for answer in outcome["ops"]
        if answer["op"] == "pause_node" and answer.get("ok")
    ]
    rows = outcome["states"]
    return found + [f"{n} is held" for n in wanted if rows[n]["state"] == "SUSPENDED"]


def has_unknown_code(case: Case) -> bool:
    """Touch cases with a component, or a lazy type, that nobody has."""
    known = {"echo", "fail", "raise", "ret", "sleep", "types", "root", "loopinfo", "sched"}
    known |= {"callback", "multi_callback"}
    used = {n["component"]["code"] for _, n in activities(case["tree"]) if "component" in n}
    return bool(used - known) or bool(lazy_types(case["tree"]) - KNOWN_LAZY)


KNOWN_LAZY = {"lazy_upper", "lazy_box", "lazy_raise", "lazy_root", "lazy_count"}


def lazy_types(tree: Mapping[str, Any]) -> set[str]:
    """Return the lazy types that a tree's variables have."""
    values = tree["data"]["inputs"].values()
    found = {value.get("custom_type", "") for value in values if value.get("type") == "lazy"}
    for node in tree["activities"].values():
        if "pipeline" in node:
            found |= lazy_types(node["pipeline"])
    return found


def judge_unknown(case: Case, outcome: Outcome) -> list[str]:
    """Require a failed node that says why, where the engine hangs."""
    failed = [n for n, row in outcome["states"].items() if row["state"] == "FAILED"]
    texts = [str(outcome["data"].get(n, {}).get("outputs", {}).get("ex_data", "")) for n in failed]
    if any("unknown" in text for text in texts):
        return []
    return [f"a failed node that names what is unknown expected, got {texts!r}"]


def skips_timeout(case: Case) -> bool:
    """Touch cases in which the stock handler is to fail and skip a node."""
    return any(s["op"] == "node_timeout" and "skip" in s["action"] for s in case["script"])


def judge_timeout(case: Case, outcome: Outcome) -> list[str]:
    """Require that the node was failed and skipped."""
    nodes = [s["node"] for s in case["script"] if s["op"] == "node_timeout"]
    rows = outcome["states"]
    return [f"{node}: skipped expected" for node in nodes if not rows[node]["skip"]]


# --- callbacks and forced failures ------------------------------------------------------------


def doubles_callback(case: Case) -> bool:
    """Touch cases in which the engine acknowledges a callback that it then drops."""
    single = {n["id"] for _, n in activities(case["tree"]) if code_of(n) == "callback"}
    accepted = [
        step["node"]
        for step, answer in ops(case)
        if step["op"] == "callback" and answer.get("ok") and step["node"] in single
    ]
    return any(accepted.count(node) > entries(case, node) for node in single)


def surplus_callback(case: Case) -> bool:
    """Touch cases in which a multiple callback gets more than it needs."""
    several = {n["id"] for _, n in activities(case["tree"]) if code_of(n) == "multi_callback"}
    received = case["expect"]["data"]
    for node in several:
        sent = [s for s, a in ops(case) if s["op"] == "callback" and s["node"] == node and a["ok"]]
        taken = received.get(node, {}).get("outputs", {}).get("received", [])
        if len(sent) > len(taken) * entries(case, node) and taken:
            return True
    return False


def code_of(node: Mapping[str, Any]) -> str:
    """Return the component of an activity."""
    return node.get("component", {}).get("code", "")


def entries(case: Case, node: str) -> int:
    """Return how often the engine entered a node."""
    return sum(entry[0] == node for entry in case["expect"]["order"])


def judge_callbacks(case: Case, outcome: Outcome) -> list[str]:
    """Require that the first callback counts and that a surplus one is refused or recorded."""
    want = case["expect"]["pipeline_state"]
    got = outcome["pipeline_state"]
    return [] if want == got else [f"pipeline_state: {want} expected, got {got}"]


def fails_while_polling(case: Case) -> bool:
    """Touch cases in which a node is forced to fail while its schedule is running."""
    return any(
        step["op"] == "forced_fail" and "scheduling" in step.get("when", {}) and answer.get("ok")
        for step, answer in ops(case)
    )


def judge_kept(case: Case, outcome: Outcome) -> list[str]:
    """Require that the text of the forced failure is kept."""
    found: list[str] = []
    for step, answer in ops(case):
        if step["op"] == "forced_fail" and answer.get("ok"):
            kept = outcome["data"].get(step["node"], {}).get("outputs", {})
            if kept.get("ex_data") != step.get("ex_data", "forced"):
                found.append(f"{step['node']}: the text of the forced failure is lost: {kept!r}")
    return found


# --- conditions -------------------------------------------------------------------------------


def reads_as_text(case: Case) -> bool:
    """Touch cases whose gateway failed in the engine on a condition with references in it."""
    for gateway in gateways(case["tree"]):
        texts = [c["evaluate"] for c in gateway.get("conditions", {}).values()]
        outputs = case["expect"]["data"].get(gateway["id"], {}).get("outputs", {})
        failed = str(outputs.get("ex_data", "")).startswith("evaluate[")
        if failed and any("${" in text for text in texts):
            return True
    return False


def judge_condition(case: Case, outcome: Outcome) -> list[str]:
    """Require that each such gateway has taken a branch or has failed, never hangs."""
    rows = outcome["states"]
    return [
        f"gateway {gateway['id']} is {rows[gateway['id']]['state']}"
        for gateway in gateways(case["tree"])
        if gateway["id"] in rows and rows[gateway["id"]]["state"] not in ("FAILED", "FINISHED")
    ]


def skips_no_flow(case: Case) -> bool:
    """Touch cases that skip a conditional fork with no branch at all."""
    op = "skip_conditional_parallel_gateway"
    return any(s["op"] == op and not s["flows"] and a.get("ok") for s, a in ops(case))


def judge_no_flow(case: Case, outcome: Outcome) -> list[str]:
    """Require that a skip with no branch is refused, so that the fork can still be moved."""
    found = [a for a in outcome["ops"] if a["op"] == "skip_conditional_parallel_gateway"]
    return ["a skip with no branch was accepted"] if any(a.get("ok") for a in found[:1]) else []


def is_too_long(case: Case) -> bool:
    """Touch cases that the engine refuses for the depth of its recursion."""
    return case["expect"]["run"].get("error", {}).get("class") == "RecursionError"


def judge_long(case: Case, outcome: Outcome) -> list[str]:
    """Require that a long chain runs."""
    return [] if outcome["run"]["ok"] else ["a long chain was refused"]


def acts_on_subflow(case: Case) -> bool:
    """Touch cases in which the engine refuses to retry or skip a running subprocess."""
    flows = {node["id"] for _, node in activities(case["tree"]) if "pipeline" in node}
    named = ("retry_subprocess", "retry_node", "skip_node")
    return any(
        step["op"] in named and step["node"] in flows and not answer.get("ok")
        for step, answer in ops(case)
    )


def judge_whole(case: Case, outcome: Outcome) -> list[str]:
    """Require that the run is left in a state that something can move."""
    return [] if outcome["pipeline_state"] in ("RUNNING", "FINISHED", "SUSPENDED") else ["stuck"]


DEVIATIONS: tuple[Deviation, ...] = (
    Deviation("revoke stops what runs", revokes_run, judge_revoke),
    Deviation("a revoked subflow fails", revokes_subflow, judge_subflow),
    Deviation("a running node is not held", pauses_running, judge_pause),
    Deviation("an unknown component fails its node", has_unknown_code, judge_unknown),
    Deviation("fail and skip skips", skips_timeout, judge_timeout),
    Deviation("a second callback is refused", doubles_callback, judge_callbacks),
    Deviation("a surplus callback is refused", surplus_callback, judge_callbacks),
    Deviation("a forced failure keeps its text", fails_while_polling, judge_kept),
    Deviation("values enter conditions as tokens", reads_as_text, judge_condition),
    Deviation("a fork is not skipped into nothing", skips_no_flow, judge_no_flow),
    Deviation("long chains run", is_too_long, judge_long),
    Deviation("verbs act on a whole subflow", acts_on_subflow, judge_whole),
)


def deviation_of(case: Case) -> Deviation | None:
    """Return the first deviation that touches a case."""
    return next((rule for rule in DEVIATIONS if rule.touches(case)), None)
