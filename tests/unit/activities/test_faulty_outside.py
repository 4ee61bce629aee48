"""What a real outside that misbehaves does to a node: each fault ends in its class."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from activities.contract import Done, Failed, PluginCall
from activities.http_client import Destinations, HttpClient, create_client
from activities.sdk import AnyPlugin, Call, Inputs, Outputs, plugin
from activities.shelf import Shelf
from activities.steps import Ports, StepResult, TryAgain, delay_s, given_up, take_step
from tests.helpers.faulty import Exchange, serving

HERE = "test_faulty_outside.py"


class AskInputs(Inputs):
    url: str
    method: str = "POST"


class AskOutputs(Outputs):
    text: str


async def ask(call: Call[AskInputs]) -> AskOutputs:
    response = await call.http.request(
        call.inputs.method, call.inputs.url, timeout=0.3, follow_redirects=True
    )
    response.raise_for_status()
    return AskOutputs(text=response.json()["text"])


once = plugin("once", version="v1", timeout_s=5)(ask)
often = plugin("often", version="v1", timeout_s=5, idempotent=True)(ask)


@pytest.fixture(scope="module")
async def http() -> AsyncGenerator[HttpClient]:
    allowed = Destinations.read(["127.0.0.0/8"])
    async with create_client(destinations=allowed, max_body_bytes=1000, max_request_s=0.6) as made:
        yield made


async def step(http: HttpClient, chosen: AnyPlugin, url: str, method: str = "POST") -> StepResult:
    message = PluginCall(
        plugin=chosen.ref, run="r", node="n", entry=1, inputs={"url": url, "method": method}
    )
    ports = Ports(http, Shelf(), lambda: datetime(2026, 1, 1, tzinfo=UTC), no_progress)
    return await take_step(chosen, message, ports)


def no_progress(details: Mapping[str, JsonValue]) -> None:
    del details


def status(line: str, **headers: str) -> Callable[[Exchange], Awaitable[None]]:
    async def serve(exchange: Exchange) -> None:
        await exchange.answer(line, "no", **headers)

    return serve


async def hang_up(exchange: Exchange) -> None:
    """Read the request, and say nothing."""


async def half_a_head(exchange: Exchange) -> None:
    await exchange.write("HTTP/1.1 200 OK\r\ncontent-le")


async def half_a_body(exchange: Exchange) -> None:
    await exchange.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"text": ')


async def no_http(exchange: Exchange) -> None:
    await exchange.write("SSH-2.0-OpenSSH_9.2\r\n\r\n")


async def broken_gzip(exchange: Exchange) -> None:
    await exchange.answer("200 OK", "no gzip", content_encoding="gzip")


async def endless(exchange: Exchange) -> None:
    await exchange.answer("200 OK", "x" * 2000)


async def silence(exchange: Exchange) -> None:
    await exchange.write("")
    await asyncio.Event().wait()


async def trickle(exchange: Exchange) -> None:
    await exchange.write("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n")
    while True:
        await exchange.write("x")
        await asyncio.sleep(0.05)


def taken_then(serve: Callable[[Exchange], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Take the request, send on to its result, and then misbehave."""

    async def both(exchange: Exchange) -> None:
        if exchange.line.startswith("POST"):
            await exchange.answer("303 See Other", location="/result")
        else:
            await serve(exchange)

    return both


LOST = [
    hang_up,
    half_a_head,
    half_a_body,
    no_http,
    broken_gzip,
    endless,
    silence,
    trickle,
    status("502 Bad Gateway"),
    status("504 Gateway Timeout"),
    taken_then(hang_up),
    taken_then(status("429 Too Many Requests")),
    taken_then(status("404 Not Found")),
]
LOST_IDS = [
    *(serve.__name__ for serve in LOST[:8]),
    "502",
    "504",
    "redirect, hang up",
    "redirect, 429",
    "redirect, 404",
]


@pytest.mark.parametrize("serve", LOST, ids=LOST_IDS)
async def test_a_lost_answer_is_an_unknown_outcome_that_says_where_to_look(
    http: HttpClient, serve: Callable[[Exchange], Awaitable[None]]
) -> None:
    async with serving(serve) as server:
        result = await step(http, once, server.url)

        assert isinstance(result, Failed)
        assert result.error.startswith("outcome unknown: ")
        assert f"look at {server.seen[-1].split(' ')[0]} {server.url}" in result.error
        assert result.error.endswith("then retry or skip")
        assert len([line for line in server.seen if line.startswith("POST")]) == 1


@pytest.mark.parametrize("serve", LOST, ids=LOST_IDS)
async def test_a_lost_answer_of_what_may_be_repeated_is_asked_for_again(
    http: HttpClient, serve: Callable[[Exchange], Awaitable[None]]
) -> None:
    async with serving(serve) as server:
        result = await step(http, often, server.url)

    assert isinstance(result, TryAgain)
    assert result.kind == "no_answer"


@pytest.mark.parametrize("serve", [hang_up, half_a_head, half_a_body, silence, trickle])
async def test_a_lost_answer_to_a_request_that_only_reads_is_asked_for_again(
    http: HttpClient, serve: Callable[[Exchange], Awaitable[None]]
) -> None:
    async with serving(serve) as server:
        result = await step(http, once, server.url, "GET")

    assert isinstance(result, TryAgain)
    assert result.kind == "not_taken"


async def test_a_connection_that_is_closed_before_the_request_is_read_leaves_it_unknown(
    http: HttpClient,
) -> None:
    async with serving(hang_up, before=lambda: True) as server:
        result = await step(http, once, server.url)

    assert isinstance(result, Failed)
    assert result.error.startswith("outcome unknown: ")


async def test_a_refused_connection_is_tried_again(http: HttpClient) -> None:
    async with serving(hang_up) as server:
        url = server.url
    result = await step(http, once, url)

    assert isinstance(result, TryAgain)
    assert result.kind == "not_taken"
    assert "no connection" in result.what


async def test_a_name_that_is_not_found_is_tried_again(
    http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "the name service is away")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    result = await step(http, once, "http://job.test/")

    assert isinstance(result, TryAgain)
    assert result.kind == "not_taken"
    assert "the host 'job.test' is not found: the name service is away" in result.what


async def test_a_certificate_that_is_not_trusted_is_no_connection(http: HttpClient) -> None:
    async with serving(no_http) as server:
        result = await step(http, once, server.url.replace("http:", "https:"))

    assert isinstance(result, TryAgain | Failed)
    assert server.seen == []


@pytest.mark.parametrize(
    ("line", "headers", "after_s"),
    [
        ("429 Too Many Requests", {}, 1.0),
        ("429 Too Many Requests", {"retry_after": "7"}, 7.0),
        ("503 Service Unavailable", {"retry_after": "3"}, 3.0),
        ("503 Service Unavailable", {"retry_after": "999999"}, 3600.0),
    ],
)
async def test_come_back_later_is_surely_not_taken(
    http: HttpClient, line: str, headers: dict[str, str], after_s: float
) -> None:
    async with serving(status(line, **headers)) as server:
        result = await step(http, once, server.url)

    assert isinstance(result, TryAgain)
    assert (result.kind, delay_s(result)) == ("not_taken", after_s)


@pytest.mark.parametrize("line", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "409 No"])
@pytest.mark.parametrize("chosen", [once, often], ids=["once", "often"])
async def test_a_no_fails_the_node(http: HttpClient, chosen: AnyPlugin, line: str) -> None:
    async with serving(status(line)) as server:
        result = await step(http, chosen, server.url)

        assert result == Failed(error=f"POST {server.url} answered {line}")


async def test_an_outside_that_breaks_down_fails_the_node_unless_it_may_be_asked_again(
    http: HttpClient,
) -> None:
    async with serving(status("500 Internal Server Error")) as server:
        failed = await step(http, once, server.url)
        again = await step(http, often, server.url)

    assert isinstance(failed, Failed)
    assert "answered 500" in failed.error
    assert isinstance(again, TryAgain)
    assert again.kind == "no_answer"


async def test_a_bug_fails_the_node_with_the_plugins_line(http: HttpClient) -> None:
    async with serving(status("200 OK")) as server:
        result = await step(http, once, server.url)

    assert isinstance(result, Failed)
    assert "bug in plugin 'once' (v1): json.decoder.JSONDecodeError" in result.error
    assert f"({HERE}:{ask.__code__.co_firstlineno + 5})" in result.error


async def test_a_plain_answer_ends_the_node(http: HttpClient) -> None:
    async def fine(exchange: Exchange) -> None:
        await exchange.answer("200 OK", '{"text": "ok"}')

    async with serving(fine) as server:
        assert await step(http, once, server.url) == Done(outputs={"text": "ok"})


def test_the_pause_grows_even_where_the_outside_asks_for_a_short_one() -> None:
    asked, silent = TryAgain("not_taken", "busy", 3.0), TryAgain("not_taken", "busy")

    assert [delay_s(asked, n) for n in (1, 2, 3, 4, 5)] == [3.0, 3.0, 4.0, 8.0, 16.0]
    assert [delay_s(silent, n) for n in (1, 2, 3, 8)] == [1.0, 2.0, 4.0, 60.0]
    assert "gave up after 5 attempts" in given_up(silent, 5)
