"""uvicorn inside a process that has its own signals: for callbacks and for health."""

import contextlib
from collections.abc import Generator

import uvicorn


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process has some already."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the process."""
        yield
