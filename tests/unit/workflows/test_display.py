"""Engine states become the states that bk-sops shows."""

from typing import Any

import pytest

from workflows.machine.display import Facts, display_state, display_state_legacy


def node(state: str, **children: dict[str, Any]) -> dict[str, Any]:
    named = {name: {**child, "id": name} for name, child in children.items()}
    return {"id": "root", "state": state, "children": named}


def states(shown: dict[str, Any]) -> list[str]:
    return [shown["state"], *(each["state"] for each in shown["children"].values())]


FACTS = Facts(
    plugins={"pause": "pause_node", "approve": "bk_approve", "child": "subprocess_plugin"},
    child_states={"child": "SUSPENDED"},
    retrying={"again"},
)


@pytest.mark.parametrize(
    ("tree", "shown"),
    [
        (node("RUNNING", a=node("FINISHED")), ["RUNNING", "FINISHED"]),
        (node("RUNNING", a=node("FAILED")), ["FAILED", "FAILED"]),
        (node("SUSPENDED", a=node("FAILED")), ["FAILED", "FAILED"]),
        (node("SUSPENDED", a=node("FINISHED")), ["SUSPENDED", "FINISHED"]),
        (node("RUNNING", a=node("SUSPENDED")), ["PENDING_PROCESSING", "PENDING_PROCESSING"]),
        (node("RUNNING", a=node("NODE_SUSPENDED")), ["PENDING_PROCESSING", "PENDING_PROCESSING"]),
        (node("RUNNING", pause=node("RUNNING")), ["PENDING_PROCESSING", "PENDING_CONFIRMATION"]),
        (node("RUNNING", approve=node("RUNNING")), ["PENDING_PROCESSING", "PENDING_APPROVAL"]),
        (node("RUNNING", pause=node("FINISHED")), ["RUNNING", "FINISHED"]),
        (node("RUNNING", child=node("RUNNING")), ["PENDING_PROCESSING", "PENDING_PROCESSING"]),
        (node("RUNNING", again=node("FAILED")), ["FAILED", "FAILED"]),
        (node("REVOKED", a=node("FAILED")), ["REVOKED", "FAILED"]),
    ],
)
def test_a_state_is_shown_as(tree: dict[str, Any], shown: list[str]) -> None:
    assert states(display_state(tree, FACTS)) == shown


def test_a_failed_node_that_retries_itself_still_runs_for_the_parent_run() -> None:
    facts = Facts(retrying={"again"}, for_parent=True)

    assert states(display_state(node("RUNNING", again=node("FAILED")), facts))[0] == "RUNNING"


def test_the_state_of_a_child_run_is_kept_beside_what_is_shown() -> None:
    shown: Any = display_state(node("RUNNING", child=node("RUNNING")), FACTS)

    assert shown["children"]["child"]["subprocess_state"] == "SUSPENDED"


def test_a_failure_in_a_nested_flow_reaches_the_root() -> None:
    tree = node("RUNNING", s=node("RUNNING", a=node("FAILED")))

    assert states(display_state(tree)) == ["FAILED", "FAILED"]


@pytest.mark.parametrize(
    ("tree", "shown"),
    [
        (node("RUNNING", a=node("FAILED"), b=node("SUSPENDED")), "FAILED"),
        (node("RUNNING", a=node("SUSPENDED")), "NODE_SUSPENDED"),
        (node("RUNNING", s=node("RUNNING", a=node("NODE_SUSPENDED"))), "NODE_SUSPENDED"),
        (node("SUSPENDED", a=node("FAILED")), "SUSPENDED"),
        (node("RUNNING", pause=node("RUNNING")), "RUNNING"),
    ],
)
def test_the_older_rule_knows_no_pending_states(tree: dict[str, Any], shown: str) -> None:
    assert display_state_legacy(tree)["state"] == shown
