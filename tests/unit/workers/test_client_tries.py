"""A verb that the server could not bring to its run is sent again, and only then."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stdops import StdopsError
from workers.client import Runs
from workers.settings import Settings


class Server:
    """Stands for the server and its one run: answers with these statuses first, then well."""

    def __init__(self, *statuses: RPCStatusCode) -> None:
        self.statuses = list(statuses)
        self.sent = 0
        self.service_client = SimpleNamespace(config=SimpleNamespace(target_host="here:7233"))

    def get_workflow_handle(self, *_args: Any, **_options: Any) -> "Server":
        return self

    async def execute_update(self, *_args: Any, **_options: Any) -> dict[str, bool]:
        self.sent += 1
        if self.statuses:
            raise RPCError("unexpected workflow task failure", self.statuses.pop(0), b"")
        return {"accepted": True}


def runs_on(server: Server) -> Runs:
    return Runs(cast("Client", server), Settings())  # the fake has what is used of a client


async def test_a_verb_that_meets_a_run_as_it_rolls_over_is_sent_again() -> None:
    server = Server(RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.FAILED_PRECONDITION)

    answer = await runs_on(server).verb("run-1", "pause", {})

    assert (answer, server.sent) == ({"accepted": True}, 3)


@pytest.mark.parametrize(
    "status", [RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.UNAVAILABLE], ids=lambda s: s.name
)
async def test_a_verb_that_may_have_been_done_is_not_sent_again(status: RPCStatusCode) -> None:
    server = Server(status)

    with pytest.raises(StdopsError):
        await runs_on(server).verb("run-1", "pause", {})

    assert server.sent == 1
