"""`script`: runs a script on the worker's host, where the workers' settings allow it.

Off until `[plugins.script]` names interpreters. A script has a folder of its own, no environment
but what is given, and a process group that ends with it: at its end, at its time limit, and when
the node is cancelled. Not idempotent: a script that a lost worker had started is "outcome unknown";
what a worker that is killed had started goes on without it.
"""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, Field

from activities.builtin.folders import own_folder
from activities.builtin.starting import started
from activities.builtin.tails import Tail
from activities.sdk import Call, Inputs, Outputs, PluginError, plugin

LONGEST_S: Final = 24 * 3600
MAX_OUTPUT_BYTES: Final = 500_000

_STDOUT: Final = 1
_PROGRESS_S: Final = 10.0
_GRACE_S: Final = 5.0
_SHOWN_CHARS: Final = 300


class ScriptSettings(BaseModel):
    """The table `[plugins.script]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interpreters: dict[str, Path] = Field(
        default_factory=dict,
        description='What may run scripts: a file by name, such as `bash = "/bin/bash"`; none '
        "means that no script runs",
    )
    folder: Path | None = Field(
        default=None, description="Where the scripts' own folders are made; none is the system's"
    )
    max_s: int = Field(default=3600, ge=1, le=LONGEST_S, description="Longest time limit")
    at_once: int = Field(default=4, ge=1, description="Scripts of one worker at the same time")
    environment: dict[str, str] = Field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        description="The environment of every script, in place of the worker's own",
    )


class ScriptInputs(Inputs):
    """The script, what runs it, and what it gets."""

    interpreter: str = Field(default="bash", description="Name of an interpreter of the workers")
    script: str = Field(min_length=1, description="Text of the script")
    arguments: list[str] = Field(default_factory=list[str], description="Its arguments")
    environment: dict[str, str] = Field(
        default_factory=dict, description="Variables of its environment, by name"
    )
    stdin: str = Field(default="", description="What it reads from its standard input")
    timeout_s: int = Field(default=300, ge=1, le=LONGEST_S, description="Seconds until it is ended")
    ok_codes: list[int] = Field(
        default_factory=lambda: [0], description="Exit codes that are a success"
    )
    max_output_bytes: int = Field(
        default=64 * 1024,
        ge=0,
        le=MAX_OUTPUT_BYTES,
        description="How much of the end of each output is kept",
    )


class ProgramOutputs(Outputs):
    """How a program ended, and the end of what it wrote."""

    exit_code: int | None = Field(
        default=None, description="Exit code; below 0 the signal that ended it"
    )
    stdout: str = Field(default="", description="End of its standard output")
    stderr: str = Field(default="", description="End of its standard error")
    truncated: bool = Field(default=False, description="The begin of an output is left out")


class _Job(NamedTuple):
    """A script as it is started: the program with its arguments, its folder, its environment."""

    argv: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]


@plugin(
    "script",
    version="v1.0",
    name="Script on the worker",
    group="Core",
    timeout_s=LONGEST_S,
    settings={"script": ScriptSettings},
)
async def script(call: Call[ScriptInputs]) -> ProgramOutputs:
    """Run a script on the worker's host; an exit code of 0 is a success.

    Only interpreters that the workers' settings name can be used. The script sees the environment
    that is given to it, `STDOPS_RUN`, `STDOPS_NODE` and `STDOPS_KEY`, and works in a folder of its
    own, which is removed with it.
    """
    settings = call.shelf.settings("script", ScriptSettings)
    program = _program(settings, call.inputs.interpreter)
    limit_s = min(call.inputs.timeout_s, settings.max_s)
    seats = call.shelf.shared(ScriptSettings, lambda: asyncio.Semaphore(settings.at_once))
    async with seats, own_folder(settings.folder) as folder:
        file = folder / "script"
        file.write_text(call.inputs.script, "utf-8")
        argv = (str(program), str(file), *call.inputs.arguments)
        return await _run(call, _Job(argv, folder, _environment(call, settings, folder)), limit_s)


def judged(
    given_codes: list[int], outputs: ProgramOutputs, what: str = "the script"
) -> ProgramOutputs:
    """Return the outputs of a program that ended well.

    Raises:
        PluginError: its exit code is none of those expected.
    """
    if outputs.exit_code in given_codes:
        return outputs
    last = (outputs.stderr.strip() or outputs.stdout.strip())[-_SHOWN_CHARS:]
    told = f": {' '.join(last.split())}" if last else ""
    raise PluginError(f"{what} ended with {_code_text(outputs.exit_code)}{told}", outputs=outputs)


def _program(settings: ScriptSettings, name: str) -> Path:
    found = settings.interpreters.get(name)
    if found is None:
        allowed = ", ".join(sorted(settings.interpreters)) or "none, so that no script runs"
        raise PluginError(
            f"interpreter {name!r} is not allowed on this worker; allowed: {allowed} "
            "(interpreters in [plugins.script] of the workers' settings)"
        )
    if not os.access(found, os.X_OK):
        raise PluginError(
            f"interpreter {name!r} of [plugins.script] is no program on this worker: {found}"
        )
    return found


def _environment(
    call: Call[ScriptInputs], settings: ScriptSettings, folder: Path
) -> dict[str, str]:
    own = {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "STDOPS_RUN": call.run,
        "STDOPS_NODE": call.node,
        "STDOPS_KEY": call.key,
    }
    return {**own, **settings.environment, **call.inputs.environment}


class _Watch(asyncio.SubprocessProtocol):
    """Takes in what a program writes, and tells when it has ended.

    A protocol of our own, because asyncio's `Process.wait` waits for children too that still hold
    an output.
    """

    def __init__(self, limit: int) -> None:
        self.out, self.err = Tail(limit), Tail(limit)
        self.exited, self.closed = asyncio.Event(), asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep what came."""
        (self.out if fd == _STDOUT else self.err).add(data)

    def process_exited(self) -> None:
        """Note the end of the program."""
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of its outputs."""
        del exc  # asyncio gives none for a program
        self.closed.set()


async def _run(call: Call[ScriptInputs], job: _Job, limit_s: int) -> ProgramOutputs:
    given = call.inputs
    watch = _Watch(given.max_output_bytes)
    program = await started(_start(job, given.stdin, watch), lambda program: _ended(program, watch))
    in_time = True
    try:
        async with asyncio.timeout(limit_s):
            while not await _within(watch.exited, _PROGRESS_S):
                last = watch.out.text()[-_SHOWN_CHARS:]
                call.progress(written_bytes=watch.out.total, last=last)
    except TimeoutError:
        in_time = False
    finally:
        await _ended(program, watch)
    outputs = ProgramOutputs(
        exit_code=program.get_returncode(),
        stdout=watch.out.text(),
        stderr=watch.err.text(),
        truncated=watch.out.truncated or watch.err.truncated,
    )
    if not in_time:
        raise PluginError(f"the script was ended after {limit_s} s, its limit", outputs=outputs)
    return judged(given.ok_codes, outputs)


async def _start(job: _Job, stdin: str, watch: _Watch) -> asyncio.SubprocessTransport:
    try:
        program, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: watch,
            *job.argv,
            cwd=job.folder,
            env=dict(job.environment),
            stdin=PIPE if stdin else DEVNULL,
            start_new_session=True,  # a group of its own, which can be ended as one
        )
    except (OSError, ValueError) as error:
        raise PluginError(f"the script cannot be started: {error}") from error
    if stdin:
        pipe = cast("asyncio.WriteTransport", program.get_pipe_transport(0))
        pipe.write(stdin.encode())
        pipe.close()
    return program


async def _ended(program: asyncio.SubprocessTransport, watch: _Watch) -> None:
    """End the whole group, children that were left behind too, and take in what they wrote."""
    group = program.get_pid()
    if not watch.exited.is_set():
        _signal(group, signal.SIGTERM)
        await _within(watch.exited, _GRACE_S)
    _signal(group, signal.SIGKILL)
    await _within(watch.closed, _GRACE_S)
    program.close()


async def _within(event: asyncio.Event, limit_s: float) -> bool:
    """Return whether an event happens within some seconds."""
    try:
        async with asyncio.timeout(limit_s):
            return await event.wait()
    except TimeoutError:
        return False


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has ended
        os.killpg(group, number)


def _code_text(exit_code: int | None) -> str:
    if exit_code is None:
        return "no exit code"
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"signal {-exit_code}"
