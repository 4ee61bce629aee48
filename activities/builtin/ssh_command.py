"""`ssh_command`: runs a command on another host by SSH.

Not idempotent unless the node says so: what is lost before the command was sent is tried again, a
connection that breaks afterwards is "outcome unknown". When the node is cancelled or its time is
over, the command is told to end (TERM); a command that does not listen goes on over there.
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pydantic import Field

from activities.builtin.script import MAX_OUTPUT_BYTES, ProgramOutputs, judged
from activities.builtin.ssh import SSH_PORT, LoginInputs, Peer, SshSettings, connected
from activities.builtin.starting import started
from activities.builtin.tails import Tail
from activities.sdk import Call, OutcomeUnknown, PluginError, plugin

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHClientProcess

LONGEST_S: Final = 24 * 3600

_PROGRESS_S: Final = 10.0
_SHOWN_CHARS: Final = 300


class SshInputs(LoginInputs):
    """Where, as whom, and what."""

    host: str = Field(min_length=1, description="Name or address of the host")
    port: int = Field(default=SSH_PORT, ge=1, le=65535, description="Port of its SSH server")
    user: str = Field(min_length=1, description="As whom we log in")
    command: str = Field(min_length=1, description="What the user's shell over there runs")
    stdin: str = Field(default="", description="What the command reads from standard input")
    timeout_s: int = Field(
        default=300, ge=1, le=LONGEST_S, description="Seconds until it is told to end"
    )
    ok_codes: list[int] = Field(
        default_factory=lambda: [0], description="Exit codes that are a success"
    )
    max_output_bytes: int = Field(
        default=64 * 1024,
        ge=0,
        le=MAX_OUTPUT_BYTES,
        description="How much of the end of each output is kept",
    )
    repeatable: bool = Field(
        default=False, description="The command may run twice, should its answer be lost"
    )


@plugin(
    "ssh_command",
    version="v1.0",
    name="Command by SSH",
    group="Core",
    timeout_s=LONGEST_S,
    settings={"ssh": SshSettings},
)
async def ssh_command(call: Call[SshInputs]) -> ProgramOutputs:
    """Run a command on another host by SSH; an exit code of 0 is a success.

    The host's key must be known to the worker. Needs `pip install 'stdops[ssh]'`.
    """
    given = call.inputs
    peer = Peer(given.host.strip(), given.user, given.port)
    call.note(str(peer))
    async with connected(call, peer) as connection:
        return await _run(call, connection, peer)


@ssh_command.repeatable
def _(inputs: SshInputs) -> bool:
    return inputs.repeatable


async def _run(
    call: Call[SshInputs], connection: "SSHClientConnection", peer: Peer
) -> ProgramOutputs:
    given = call.inputs
    out, err = Tail(given.max_output_bytes), Tail(given.max_output_bytes)
    process = await started(_start(connection, given.command, peer), _told_to_end)
    try:
        async with asyncio.timeout(given.timeout_s):
            await _talk(call, process, (out, err))
    except TimeoutError:
        raise PluginError(
            f"the command was told to end after {given.timeout_s} s, its limit: look on {peer} "
            "whether it did",
            outputs=_outputs(process, out, err),
        ) from None
    finally:
        await _told_to_end(process)
    outputs = _outputs(process, out, err)
    if outputs.exit_code is None:
        raise OutcomeUnknown("the connection was lost while the command ran", f"host {peer}")
    return judged(given.ok_codes, outputs, "the command")


async def _start(
    connection: "SSHClientConnection", command: str, peer: Peer
) -> "SSHClientProcess[bytes]":
    import asyncssh

    try:
        return await connection.create_process(command, encoding=None)
    except asyncssh.ChannelOpenError as error:
        raise PluginError(f"{peer} opens no session: {error}", retryable=True) from error
    except (asyncssh.Error, OSError) as error:
        raise OutcomeUnknown(f"the connection was lost ({error})", f"host {peer}") from error


async def _talk(
    call: Call[SshInputs], process: "SSHClientProcess[bytes]", tails: tuple[Tail, Tail]
) -> None:
    """Write the input, and read all until the command has ended."""
    import asyncssh

    out, err = tails
    try:
        process.stdin.write(call.inputs.stdin.encode())
        process.stdin.write_eof()
    except (BrokenPipeError, OSError):
        call.log.info("activities.input_unread")  # a command need not read
    reading = asyncio.gather(out.follow(process.stdout), err.follow(process.stderr))
    try:
        while not (await asyncio.wait([reading], timeout=_PROGRESS_S))[0]:
            call.progress(written_bytes=out.total, last=out.text()[-_SHOWN_CHARS:])
        await reading
        await process.wait_closed()
    except (asyncssh.Error, OSError) as error:
        call.log.warning("activities.connection_lost", reason=str(error))
    finally:
        reading.cancel()


async def _told_to_end(process: "SSHClientProcess[bytes]") -> None:
    """Tell a command to end that has not; one whose connection is gone cannot be told."""
    with suppress(OSError):
        if process.returncode is None:
            process.terminate()


def _outputs(process: "SSHClientProcess[bytes]", out: Tail, err: Tail) -> ProgramOutputs:
    return ProgramOutputs(
        exit_code=process.returncode,
        stdout=out.text(),
        stderr=err.text(),
        truncated=out.truncated or err.truncated,
    )
