"""Connections by SSH, for the plugins that need one: who may be reached, and by which keys.

The other side's key is always checked against a file of known hosts. Until a connection stands,
nothing has been asked of the other side, so that what goes wrong here is surely not taken.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from activities.builtin.extras import missing
from activities.sdk import Call, Inputs, PluginError, Secret

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHKey

DEFAULT_KEY: Final = "default"
SSH_PORT: Final = 22

_KEEPALIVE_S: Final = 15
_GOODBYE_S: Final = 5


class SshKeyFile(BaseModel):
    """A private key on the workers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path
    passphrase: SecretStr | None = None


class SshSettings(BaseModel):
    """The table `[plugins.ssh]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hosts: tuple[str, ...] = Field(
        default=("*",), description="Hosts that may be reached, by name or pattern"
    )
    known_hosts: Path | None = Field(
        default=None, description="File of known host keys; none is `~/.ssh/known_hosts`"
    )
    keys: dict[str, SshKeyFile] = Field(
        default_factory=dict,
        description="Private keys by name, each a `file` and perhaps its `passphrase`; `default` "
        "is used where a node names none and has no password",
    )
    per_host: int = Field(default=5, ge=1, description="Connections of one worker to one host")
    connect_s: float = Field(default=15, gt=0, le=300, description="Seconds to connect and log in")


class LoginInputs(Inputs):
    """By what we show who we are."""

    password: Secret | None = Field(default=None, description="Password; give a password variable")
    private_key: Secret | None = Field(
        default=None, description="Private key as text, in a password variable"
    )
    passphrase: Secret | None = Field(default=None, description="What opens the private key")
    key_name: str = Field(
        default="", description="Name of a private key in the workers' settings, instead"
    )


class Peer(NamedTuple):
    """Whom we connect to, and as whom."""

    host: str
    user: str
    port: int = SSH_PORT

    def __str__(self) -> str:
        port = "" if self.port == SSH_PORT else f":{self.port}"
        return f"{self.user}@{self.host}{port}"


@asynccontextmanager
async def connected(call: Call[Any], peer: Peer) -> AsyncGenerator["SSHClientConnection", None]:
    """Connect to a host by the login in the call's inputs; waits while too many are connected.

    Raises:
        PluginError: it may not be reached, cannot be, or does not let us in.
    """
    settings = call.shelf.settings("ssh", SshSettings)
    _check_allowed(settings, peer)
    seats = call.shelf.shared(
        (SshSettings, peer.host, peer.port), lambda: asyncio.Semaphore(settings.per_host)
    )
    async with seats:
        connection = await _connect(call, settings, peer)
        try:
            yield connection
        finally:
            await _closed(connection)


async def _connect(call: Call[Any], settings: SshSettings, peer: Peer) -> "SSHClientConnection":
    try:
        import asyncssh
    except ImportError as error:
        raise missing(call_code(call), "ssh", error) from error
    login: LoginInputs = call.inputs
    try:
        return await asyncssh.connect(
            peer.host,
            peer.port,
            config=None,  # what the worker's user has set for itself is no part of a run
            username=peer.user,
            password=login.password.get_secret_value() if login.password else None,
            client_keys=_keys(login, settings) or None,
            known_hosts=str(_known_hosts(settings)),
            agent_path=None,
            gss_host=None,
            connect_timeout=settings.connect_s,
            login_timeout=settings.connect_s,
            keepalive_interval=_KEEPALIVE_S,
        )
    except asyncssh.HostKeyNotVerifiable as error:
        raise PluginError(
            f"{peer} is not known: {error}; check its key and add it to "
            f"{_known_hosts(settings)} on the worker (`ssh-keyscan` prints the line)"
        ) from error
    except asyncssh.PermissionDenied as error:
        raise PluginError(f"{peer} does not let us in: {error}; check user and key") from error
    except (asyncssh.ConnectionLost, OSError) as error:
        raise PluginError(f"no connection to {peer}: {error}", retryable=True) from error
    except (asyncssh.Error, ValueError) as error:
        raise PluginError(f"no connection to {peer}: {error}") from error


async def _closed(connection: "SSHClientConnection") -> None:
    """Close a connection, so that what was said last still goes out; cut it if it does not."""
    connection.close()
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()


def call_code(call: Call[Any]) -> str:
    """Return the code of the plugin that is called."""
    return str(call.place["plugin"])


def _check_allowed(settings: SshSettings, peer: Peer) -> None:
    if not any(fnmatchcase(peer.host.lower(), pattern.lower()) for pattern in settings.hosts):
        raise PluginError(
            f"host {peer.host!r} may not be reached by SSH; allowed: "
            f"{', '.join(settings.hosts) or 'none'} (hosts in [plugins.ssh] of the workers' "
            "settings)"
        )


def _known_hosts(settings: SshSettings) -> Path:
    file = settings.known_hosts or Path.home() / ".ssh" / "known_hosts"
    if not file.is_file():
        raise PluginError(
            f"there is no file of known hosts on this worker: {file}; make it with `ssh-keyscan`, "
            "or name another as known_hosts in [plugins.ssh] of the workers' settings"
        )
    return file


def _keys(login: LoginInputs, settings: SshSettings) -> "list[SSHKey]":
    """Return the private keys to show.

    Raises:
        PluginError: there is none of that name, or it cannot be read.
    """
    from asyncssh import import_private_key, read_private_key

    if login.private_key is not None:
        passphrase = login.passphrase.get_secret_value() if login.passphrase else None
        return [import_private_key(login.private_key.get_secret_value(), passphrase)]
    name = login.key_name or ("" if login.password else DEFAULT_KEY)
    known = settings.keys.get(name)
    if known is None:
        if not login.key_name:
            return []
        raise PluginError(
            f"the workers have no private key {name!r}; they have: "
            f"{', '.join(sorted(settings.keys)) or 'none'} (keys in [plugins.ssh])"
        )
    opened = known.passphrase.get_secret_value() if known.passphrase else None
    try:
        return [read_private_key(known.file, opened)]
    except (OSError, ValueError) as error:
        raise PluginError(
            f"private key {name!r} of [plugins.ssh] cannot be read: {error}"
        ) from error
