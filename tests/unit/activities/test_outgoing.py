"""Where requests may go, tried on a real server: whatever is denied is never connected to."""

import socket
from collections.abc import AsyncGenerator
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import httpx
import pytest

from activities.http_client import (
    DestinationRefusedError,
    Destinations,
    create_client,
    fault_of,
    read_rule,
)
from activities.http_client.destinations import DENIED_NETWORKS
from tests.helpers.faulty import Exchange, LocalServer, serving

ANY = "0.0.0.0"  # noqa: S104  what is tried, and what listens on every address of this machine

# {port} is that of a server on 127.0.0.1, which nothing may reach
HOSTS = [
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0",
    ANY,
    "0x7f000001",
    "0x7F.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "0177.0.0x1",
    "017700000001",
    "2130706433",
    "00000177.0.0.1",
    "127.0x0.0x0.0x1",
    "0x0",
    "00.0",
    "localhost",
    "LOCALHOST",
    "LocalHost",
    "localhost.",
    "127.0.0.1.",
    "%6c%6f%63%61%6c%68%6f%73%74",
    "127%2e0%2e0%2e1",
    "ｌｏｃａｌｈｏｓｔ",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "１２７.0.0.1",
    "good.test@127.0.0.1",
    "good.test:80@127.0.0.1",
    "good.test%40@127.0.0.1",
    "127.0.0.1%23@localhost",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[2001:0:7f00:1::]",
    "[2001:0:808:808:0:0:80ff:fffe]",
    "[fe80::5efe:127.0.0.1]",
    "[2001:db8::5efe:127.0.0.1]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "[::1%25lo]",
    "[fec0::1]",
    "[ff02::1]",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
]
ADDRESSES = [f"http://{host}:{{port}}/" for host in HOSTS] + [
    "https://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "file://127.0.0.1:{port}/etc/passwd",
    "unix://127.0.0.1:{port}/socket",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@good.test/",
    "http://127.0.0.1:{port}?@good.test/",
    "http://good.test\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\t/",
]


class Pair(NamedTuple):
    """The server that must not be reached, and one that may be and sends on to it."""

    victim: LocalServer
    sender: LocalServer

    @property
    def destinations(self) -> Destinations:
        return Destinations.read(allow=[f"127.0.0.3:{self.sender.port}"])


@pytest.fixture(scope="module")
async def pair() -> AsyncGenerator[Pair]:
    async def reached(exchange: Exchange) -> None:
        await exchange.answer("200 OK", "reached")

    async def send_on(exchange: Exchange) -> None:
        status, _, place = exchange.path.lstrip("/").partition("/")
        location = unquote(place).encode().decode("latin-1")
        await exchange.answer(f"{status} Go on", "", location=location)

    # on every address of this machine, so that a spelling of 0.0.0.0 would reach it too
    async with serving(reached, ANY) as victim, serving(send_on, "127.0.0.3") as sender:
        yield Pair(victim, sender)


@pytest.fixture(scope="module")
async def http(pair: Pair) -> AsyncGenerator[httpx.AsyncClient]:
    async with create_client(destinations=pair.destinations) as made:
        yield made


def test_the_corpus_is_large() -> None:
    assert len(set(ADDRESSES)) >= 60


async def test_the_server_that_must_not_be_reached_can_be() -> None:
    async def reached(exchange: Exchange) -> None:
        await exchange.answer("200 OK", "reached")

    async with (
        serving(reached) as victim,
        create_client(destinations=Destinations.read(["127.0.0.1"])) as http,
    ):
        assert (await http.get(victim.url)).text == "reached"


REFUSALS = {
    "DestinationRefusedError",
    "InvalidURL",
    "UnsupportedProtocol",
    "RemoteProtocolError: a Location that is no address",
    "ConnectError: no such name",
}


async def outcome(http: httpx.AsyncClient, url: str, **options: Any) -> str:
    """Ask, and say what came of it."""
    try:
        response = await http.get(url, timeout=5, **options)
    except httpx.ConnectError as error:
        return f"ConnectError: {'no such name' if 'is not found' in str(error) else error}"
    except httpx.RemoteProtocolError as error:
        is_address = "Invalid URL in location" not in str(error)
        return f"RemoteProtocolError: {error if is_address else 'a Location that is no address'}"
    except (httpx.HTTPError, httpx.InvalidURL, DestinationRefusedError) as error:
        return type(error).__name__
    return f"answered {response.status_code} {response.text}"


@pytest.mark.parametrize("address", ADDRESSES)
async def test_no_spelling_of_a_denied_address_is_reached(
    pair: Pair, http: httpx.AsyncClient, address: str
) -> None:
    before = pair.victim.opened

    told = await outcome(http, address.format(port=pair.victim.port))

    assert told in REFUSALS
    assert pair.victim.opened == before


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("address", ADDRESSES)
async def test_no_redirect_to_a_denied_address_is_followed(
    pair: Pair, http: httpx.AsyncClient, address: str, status: int
) -> None:
    before, asked = pair.victim.opened, len(pair.sender.seen)
    target = quote(address.format(port=pair.victim.port), safe="")

    told = await outcome(http, f"{pair.sender.url}/{status}/{target}", follow_redirects=True)

    assert len(pair.sender.seen) > asked, told
    assert told in REFUSALS
    assert pair.victim.opened == before


async def test_a_redirect_of_a_redirect_is_checked_too(pair: Pair, http: httpx.AsyncClient) -> None:
    last = quote(f"http://127.0.0.1:{pair.victim.port}/", safe="")
    first = quote(f"{pair.sender.url}/302/{last}", safe="")
    before = pair.victim.opened

    told = await outcome(http, f"{pair.sender.url}/307/{first}", follow_redirects=True)

    assert told == "DestinationRefusedError"
    assert pair.victim.opened == before


class Names:
    """A name service that answers each question with the next of its answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]


async def test_a_name_is_asked_for_once_and_what_was_checked_is_connected_to(
    pair: Pair, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch, ["127.0.0.3"], ["127.0.0.1"])
    before = pair.victim.opened

    told = await outcome(http, f"http://rebind.test:{pair.sender.port}/204/x")

    assert told == "answered 204 "
    assert names.asked == ["rebind.test"]
    assert pair.victim.opened == before


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["127.0.0.3", "127.0.0.1"]], ids=str)
async def test_a_name_with_a_denied_address_is_refused(
    pair: Pair, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    Names(monkeypatch, addresses)

    told = await outcome(http, f"http://mixed.test:{pair.sender.port}/")

    assert told == "DestinationRefusedError"


async def test_a_name_keeps_its_host_header(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: list[str] = []

    async def note(exchange: Exchange) -> None:
        hosts.append(exchange.headers["host"])
        await exchange.answer("200 OK")

    async with serving(note) as server:
        Names(monkeypatch, ["127.0.0.1"])
        async with create_client(destinations=Destinations.read(["127.0.0.1"])) as http:
            await http.get(f"http://service.test:{server.port}/")

    assert hosts == [f"service.test:{server.port}"]


async def test_an_address_that_does_not_answer_gives_way_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fine(exchange: Exchange) -> None:
        await exchange.answer("200 OK", "fine")

    async with serving(fine, "127.0.0.5") as server:
        Names(monkeypatch, ["127.0.0.4", "127.0.0.5"])
        async with create_client(destinations=Destinations.read(["127.0.0.0/8"])) as http:
            told = await outcome(http, f"http://two.test:{server.port}/")

    assert told == "answered 200 fine"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
async def test_a_proxy_of_the_environment_is_passed_by(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, f"http://127.0.0.1:{pair.victim.port}")
    before = pair.victim.opened
    async with create_client(destinations=pair.destinations) as http:
        told = await outcome(http, f"{pair.sender.url}/204/x")

    assert told == "answered 204 "
    assert pair.victim.opened == before


async def test_a_cookie_of_one_request_is_not_sent_with_the_next() -> None:
    seen: list[str | None] = []

    async def give(exchange: Exchange) -> None:
        seen.append(exchange.headers.get("cookie"))
        await exchange.answer("200 OK", set_cookie="session=s3cret")

    async with (
        serving(give) as server,
        create_client(destinations=Destinations.read(["127.0.0.1"])) as http,
    ):
        await http.get(server.url)
        await http.get(server.url)

    assert seen == [None, None]


async def test_a_refusal_is_no_reason_to_try_again_and_says_how_to_allow_it() -> None:
    async with create_client() as http:
        with pytest.raises(DestinationRefusedError, match="STDOPS_HTTP_ALLOW") as caught:
            await http.get("http://2130706433:8080/")

    fault = fault_of(caught.value)
    assert fault is not None
    assert fault.verdict == "refused"
    assert "2130706433:8080 (address 127.0.0.1)" in fault.what


# --- rules --------------------------------------------------------------------------------------


def refusal(url: str, allow: str = "", deny: str = "") -> str:
    """Say why `http://host[:port]` at its literal address, or at 10.0.0.9, may not be reached."""
    rules = Destinations.read(allow.split(), deny.split())
    parsed = httpx.URL(url)
    port = parsed.port or 80
    try:
        address = ip_address(parsed.host)
    except ValueError:
        address = ip_address("10.0.0.9")
    return rules.host_refusal(parsed.host, port) or rules.refusal(parsed.host, port, address)


@pytest.mark.parametrize(
    ("url", "allow", "deny"),
    [
        ("http://93.184.216.34", "", ""),
        ("http://10.1.2.3", "", ""),
        ("http://[fd12::1]", "", ""),
        ("http://192.168.0.1:8080", "", ""),
        ("http://127.0.0.1", "127.0.0.1", ""),
        ("http://127.0.0.1:8080", "127.0.0.0/8", ""),
        ("http://[::1]:8080", "[::1]:8080", ""),
        ("http://[::ffff:127.0.0.1]", "127.0.0.1", ""),
        ("http://10.1.2.3:6379", "10.1.2.3:6379", ""),
        ("http://api.corp.test", "*.corp.test", "*"),
        ("http://api.corp.test:8443", "api.corp.test:8443", "*"),
        ("http://10.1.2.3", "10.0.0.0/8", "*"),
        ("http://corp.test", "", "*.corp.test"),
    ],
)
def test_what_may_be_reached(url: str, allow: str, deny: str) -> None:
    assert refusal(url, allow, deny) == ""


@pytest.mark.parametrize(
    ("url", "allow", "deny"),
    [
        ("http://127.0.0.1:8081", "127.0.0.1:8080", ""),
        ("http://127.0.0.1", "localhost *", ""),
        ("http://10.1.2.3:22", "", ""),
        ("http://10.1.2.3:6379", "10.0.0.0/8 127.0.0.1:6379", ""),
        ("http://10.1.2.3", "10.0.0.0/8", "10.1.2.0/24"),
        ("http://[::ffff:10.1.2.3]", "", "10.0.0.0/8"),
        ("http://API.corp.test.", "*.corp.test", "api.corp.test"),
        ("http://api.corp.test:8080", "api.corp.test:8443", "*"),
        ("http://10.1.2.3", "", "*"),
        ("http://10.1.2.3:8443", "", "10.1.2.3:8443"),
    ],
)
def test_what_may_not_be_reached(url: str, allow: str, deny: str) -> None:
    assert refusal(url, allow, deny) != ""


@pytest.mark.parametrize("network", DENIED_NETWORKS, ids=str)
def test_each_end_of_a_denied_network_is_refused(network: Any) -> None:
    rules = Destinations()

    assert rules.refusal("x", 80, network[0])
    assert rules.refusal("x", 80, network[-1])


@pytest.mark.parametrize("text", ["", "a b", "http://x", "x:0", "x:70000", "10.0.0.0/40", "a/b"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|port"):
        read_rule(text)
