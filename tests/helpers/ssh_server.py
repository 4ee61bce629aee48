"""A real SSH server in this process: one command, files below a folder, and faults when asked."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncssh
from pydantic import JsonValue

USER = "ops"
PASSWORD = "hush-hush"


def new_key() -> Any:
    """Return a fresh private key; Any, because the library types its keys only in part."""
    library: Any = asyncssh
    return library.generate_private_key("ssh-ed25519")


class SshServer(NamedTuple):
    """A server that listens; `commands` and `signals` are what it was sent."""

    port: int
    folder: Path
    known_hosts: Path
    client_key: Path
    commands: list[str]
    signals: list[str]

    def settings(self, **more: JsonValue) -> dict[str, dict[str, JsonValue]]:
        """Return the plugins' settings by which this server is known."""
        return {"ssh": {"known_hosts": str(self.known_hosts), **more}}


class _Door(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


@asynccontextmanager
async def ssh_server(folder: Path) -> AsyncGenerator[SshServer, None]:
    """Serve SSH and SFTP; `folder` holds its keys, and in `files` the files."""
    host_key, own_key = new_key(), new_key()
    own_key.write_private_key(folder / "key", "pkcs8-pem", passphrase="open")
    own_key.write_public_key(folder / "authorized")
    (folder / "files").mkdir()
    commands, signals = list[str](), list[str]()

    async def handle(process: asyncssh.SSHServerProcess[str]) -> None:
        commands.append(process.command or "")
        await _do(process, signals)

    def serve_files(channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=os.fsencode(folder / "files"))

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=_Door,
        server_host_keys=[host_key],
        authorized_client_keys=str(folder / "authorized"),
        process_factory=handle,
        sftp_factory=serve_files,
    )
    port = server.get_port()
    public = host_key.export_public_key().decode().strip()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n", "utf-8")
    try:
        yield SshServer(
            port, folder / "files", folder / "known_hosts", folder / "key", commands, signals
        )
    finally:
        server.close()
        await server.wait_closed()


async def _do(process: asyncssh.SSHServerProcess[str], signals: list[str]) -> None:
    """Do what the command says: `echo`, `fail`, `cat`, `vanish` (cut the connection), `hang`."""
    match process.command:
        case "cat":
            process.stdout.write(await process.stdin.read())
            process.exit(0)
        case "fail":
            process.stderr.write("no disk\n")
            process.exit(3)
        case "vanish":
            process.get_extra_info("connection").abort()
        case "hang":
            try:
                while True:  # a signal shows when reading, even after the end of the input
                    await process.stdin.read()
                    await asyncio.sleep(0.01)
            except asyncssh.SignalReceived as received:
                signals.append(received.signal)
                process.exit_with_signal(received.signal)
        case _:
            process.stdout.write(f"{process.command}\n")
            process.exit(0)
