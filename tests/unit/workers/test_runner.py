import pytest
from temporalio.bridge.proto.workflow_activation import WorkflowActivation

from workers.runner import tell_clients
from workflows.clients import HEADER, MOST_CHARS, from_headers


def activation(identity: str) -> WorkflowActivation:
    """A signal and an update of a client, beside a job of another kind."""
    act = WorkflowActivation()
    act.jobs.add().do_update.meta.identity = identity
    act.jobs.add().signal_workflow.identity = identity
    act.jobs.add().fire_timer.seq = 1
    return act


def told(act: WorkflowActivation) -> list[str]:
    """Whom the handlers of the activation are told of."""
    tell_clients(act)
    update, signal = act.jobs[0].do_update, act.jobs[1].signal_workflow
    return [from_headers(update.headers), from_headers(signal.headers)]


@pytest.mark.parametrize("identity", ["ann@laptop", "", "安"])
def test_handlers_are_told_the_client(identity: str) -> None:
    assert told(activation(identity)) == [identity, identity]


def test_a_client_cannot_call_himself_another() -> None:
    act = activation("mallory")
    act.jobs[0].do_update.headers[HEADER].data = b"ann"

    assert told(act) == ["mallory", "mallory"]


def test_a_long_identity_is_cut() -> None:
    assert told(activation("x" * 10_000))[0] == "x" * MOST_CHARS


def test_without_the_runner_nobody_is_known() -> None:
    assert from_headers({}) == ""
