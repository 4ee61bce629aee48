"""Who is measured: stdops, the hand-written workflows, and others by `--contestant MODULE:NAME`.

A contestant is an async function. It is called first with a small shape, which is not counted, so
that it can start what it needs; then once for each round.
"""

import importlib
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol, cast, runtime_checkable

from temporalio.client import Client, WorkflowHistory

from bench.runs import Handle, Played, histories, play
from bench.shapes import Shape, plan_of
from bench.worker_process import Worker, worker_process
from workers.client import connect
from workers.settings import Settings
from workers.store import Store

OURS: Final = "stdops"
HAND: Final = "by hand"
BARE: Final = "by hand, no sandbox"


class Contestant(Protocol):
    """Runs a shape once and returns what that took, or None where it has no such shape.

    `address` is the server that all contestants share, `host:port`; one that does not run on
    Temporal leaves it alone. The template of a shape is `bench.shapes.document(shape)`. It must
    have done all work, and it only, when it returns. One that keeps something open between two
    calls has an async method `aclose`, which is called at the end.
    """

    async def __call__(self, address: str, shape: Shape) -> Played | None:
        """Run a shape once."""
        ...


@runtime_checkable
class _Closes(Protocol):
    async def aclose(self) -> None: ...


class Ask(NamedTuple):
    """How a run is started: a workflow type and its one argument."""

    kind: str
    given: object


class OwnWorker:
    """A contestant of ours: a worker process, a fresh one for each key of shape.

    So the memory of a worker is that of one shape, and its caches are warm. `module` is what the
    process runs, `options` what it is told besides its queue and the server.
    """

    def __init__(
        self, name: str, module: str, ask: Callable[[Shape], Ask | None], *options: str
    ) -> None:
        self._name = name
        self._module = module
        self._ask = ask
        self._options = options
        self._key = ""
        self._open = AsyncExitStack()
        self._client: Client | None = None
        self._worker: Worker | None = None
        self._last: Handle | None = None

    async def __call__(self, address: str, shape: Shape) -> Played | None:
        """Run a shape once."""
        ask = self._ask(shape)
        if ask is None:
            return None
        client, worker = await self._opened(address, shape.key)

        async def start(name: str) -> Handle:
            self._last = await client.start_workflow(
                ask.kind, ask.given, id=f"{self._name}-{name}", task_queue=self._name
            )
            return self._last

        return await play(client, worker, shape, start)

    async def histories(self) -> list[WorkflowHistory]:
        """Return the histories of the run that was started last."""
        if self._client is None or self._last is None:
            return []
        return await histories(self._client, self._last)

    async def aclose(self) -> None:
        """End the worker."""
        await self._open.aclose()
        self._worker, self._key = None, ""

    async def _opened(self, address: str, key: str) -> tuple[Client, Worker]:
        if self._client is None:
            self._client = await connect(Settings(), address=address)
        if self._worker is None or self._key != key:
            await self.aclose()
            process = worker_process(self._module, self._name, address, *self._options)
            self._worker, self._key = await self._open.enter_async_context(process), key
        return self._client, self._worker


@asynccontextmanager
async def contestants(others: Sequence[str] = ()) -> AsyncGenerator[dict[str, Contestant]]:
    """Give every contestant by name, ours first; `others` as `module:function`."""
    found = dict(map(load, others))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        with Store.open(url) as store:
            ours = OwnWorker(OURS, "bench.our_worker", partial(ask_stdops, store), url)
            hand = OwnWorker(HAND, "bench.hand_worker", ask_by_hand)
            everyone: dict[str, Contestant] = {OURS: ours, HAND: hand, **found}
            async with AsyncExitStack() as closing:
                for each in everyone.values():
                    if isinstance(each, _Closes):
                        closing.push_async_callback(each.aclose)
                yield everyone


def ask_stdops(store: Store, shape: Shape) -> Ask:
    """Return how stdops runs a shape; its plan is in the store then."""
    plan = plan_of(shape)
    return Ask("RunFlow", {"template": plan.template_key, "digest": store.save_plan(plan)})


def ask_by_hand(shape: Shape) -> Ask | None:
    """Return how the hand-written workflow is run; it has an activity a node and no other kind."""
    if shape.form != "wait" and shape.kind != "activity":
        return None
    return Ask(f"Hand{shape.form.capitalize()}", shape.size)


by_hand_bare: Final = OwnWorker(BARE, "bench.hand_worker", ask_by_hand, "--bare")
"""The hand-written workflows without the SDK's sandbox, for those who ask for it."""


def load(name: str) -> tuple[str, Contestant]:
    """Return a contestant by `module:function`, with its name.

    Raises:
        ValueError: there is no such function.
    """
    module, _, function = name.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"no contestant {name!r}: {error}; write it as module:function") from None
    return name, cast("Contestant", found)  # its type is its author's promise
