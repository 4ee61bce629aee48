"""A profile of `temporal.toml` reaches a server behind TLS; a wrong certificate is told of."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from stdops import StdopsError
from tests.helpers.certificates import Authority
from workers.client import connect, connection_settings
from workers.server import EmbeddedServer
from workers.settings import Settings

NAME: Final = "temporal.test"


class Proxy(NamedTuple):
    """Where TLS ends before the server, and the files that a client needs."""

    port: int
    folder: Path


@asynccontextmanager
async def tls_before(server: EmbeddedServer, folder: Path) -> AsyncGenerator[Proxy]:
    """Take TLS with a client's certificate, and hand on what comes to the server."""
    authority, stranger = Authority(), Authority()
    authority.write(folder, "server", NAME)
    authority.write(folder, "client", "worker")
    stranger.write(folder, "stranger", "worker")
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "other-ca.pem").write_bytes(stranger.certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside, outside = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, outside), pump(inside, writer), return_exceptions=True)

    running = await asyncio.start_server(hand_on, "127.0.0.1", 0, ssl=context)
    try:
        yield Proxy(running.sockets[0].getsockname()[1], folder)
    finally:
        running.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on all that comes until one side closes."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def profile(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, **other: str) -> None:
    """Write a profile with every field that there is, some of them others."""
    folder = proxy.folder
    fields = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key", "name": NAME, **other}
    (folder / "temporal.toml").write_text(f"""
[profile.default]
address = "127.0.0.1:{proxy.port}"
namespace = "default"
[profile.default.tls]
server_name = "{fields["name"]}"
server_ca_cert_path = "{folder / fields["ca"]}"
client_cert_path = "{folder / fields["cert"]}"
client_key_path = "{folder / fields["key"]}"
[profile.default.grpc_meta]
x-team = "ops"
""")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(folder / "temporal.toml"))


async def test_a_profile_connects_with_all_its_certificates(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tls_before(server, tmp_path) as proxy:
        profile(proxy, monkeypatch)
        client = await connect(Settings())
        found = await client.count_workflows()

    assert found.count >= 0
    assert client.rpc_metadata == {"x-team": "ops"}


@pytest.mark.parametrize(
    "wrong",
    [{"ca": "other-ca.pem"}, {"name": "another.test"}, {"ca": "missing.pem"}],
    ids=["authority", "server name", "missing file"],
)
async def test_a_wrong_certificate_is_told_of(
    wrong: dict[str, str],
    server: EmbeddedServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with tls_before(server, tmp_path) as proxy:
        profile(proxy, monkeypatch, **wrong)
        with pytest.raises(StdopsError) as error:
            await connect(Settings())

    assert error.value.code == "SOP503"
    assert "TLS" in str(error.value) or "missing.pem" in str(error.value)


def test_an_api_key_is_sent_with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", "a-key")

    config = connection_settings(None)

    assert (config.get("api_key"), config.get("tls")) == ("a-key", True)
