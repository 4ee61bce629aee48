import gzip
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from structlog.testing import capture_logs

from activities.http_client import (
    BodyTooLargeError,
    DestinationRefusedError,
    HttpFault,
    create_client,
    fault_of,
    retry_after_s,
    shown_headers,
    shown_url,
)


def client(answer: httpx.Response, **settings: int) -> httpx.AsyncClient:
    transport = httpx.MockTransport(lambda _: answer)
    return create_client(transport=transport, max_body_bytes=settings.get("max_body_bytes", 10_000))


async def test_an_answer_is_read_whole() -> None:
    async with client(httpx.Response(200, json={"a": 1})) as http:
        response = await http.get("http://outside.test/")

    assert response.json() == {"a": 1}


async def test_a_compressed_answer_is_decoded() -> None:
    headers = {"content-encoding": "gzip"}
    body = gzip.compress(b"hello")
    async with client(httpx.Response(200, headers=headers, content=body)) as http:
        response = await http.get("http://outside.test/")

    assert response.text == "hello"


async def test_an_answer_may_have_any_text_in_its_headers() -> None:
    name = b"content-disposition"
    headers = [(name, 'attachment; filename="报告.txt"'.encode())]
    async with client(httpx.Response(200, headers=headers)) as http:
        response = await http.get("http://outside.test/")

    assert "报告" in response.headers["content-disposition"]


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_over_the_limit_is_refused_also_when_it_is_packed(packed: bool) -> None:
    body = b"x" * 2000
    headers = {"content-encoding": "gzip"} if packed else {}
    content = gzip.compress(body) if packed else body
    answer = httpx.Response(200, headers=headers, content=content)
    async with client(answer, max_body_bytes=1000) as http:
        with pytest.raises(BodyTooLargeError, match="larger than 1000 bytes"):
            await http.get("http://outside.test/")


async def test_each_redirect_is_checked() -> None:
    target = {"location": "ftp://inside.test/"}
    async with client(httpx.Response(302, headers=target)) as http:
        with pytest.raises((DestinationRefusedError, httpx.UnsupportedProtocol)):
            await http.get("http://outside.test/", follow_redirects=True)


@pytest.mark.parametrize("url", ["ftp://outside.test/x", "file:///etc/passwd", "http://"])
async def test_only_http_addresses_may_be_reached(url: str) -> None:
    async with client(httpx.Response(200)) as http:
        with pytest.raises((DestinationRefusedError, httpx.UnsupportedProtocol)) as caught:
            await http.get(url)

    fault = fault_of(caught.value)
    assert fault is not None
    assert fault.verdict == "refused"


async def test_a_request_is_logged_without_its_secrets() -> None:
    headers = {"Authorization": "Bearer s3cret", "X-Bk-Token": "s3cret", "Accept": "text/plain"}
    async with client(httpx.Response(200)) as http:
        with capture_logs() as logs:
            await http.get("http://me:s3cret@outside.test/a?key=s3cret", headers=headers)

    assert [entry["event"] for entry in logs] == ["activities.http_answered"]
    assert logs[0]["url"] == "http://outside.test/a"
    assert logs[0]["headers"]["accept"] == "text/plain"
    assert "s3cret" not in str(logs)
    assert logging.getLogger("httpx").level == logging.WARNING


@pytest.mark.parametrize(
    "name", ["Authorization", "Cookie", "X-API-Key", "bk_app_secret", "X-Bkapi-Authorization"]
)
def test_secret_looking_headers_are_hidden(name: str) -> None:
    assert shown_headers({name: "value", "Accept": "*/*"}) == {name: "******", "Accept": "*/*"}


def test_an_address_is_shown_without_user_and_query() -> None:
    assert shown_url(httpx.URL("https://u:p@h.test:8443/p?q=1#f")) == "https://h.test:8443/p"


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, None, 1),
        (429, "12", 12),
        (429, "0", 1),
        (429, "999999", 3600),
        (429, "soon", 1),
        (503, "5", 5),
        (503, None, None),
        (500, "5", None),
        (200, "5", None),
    ],
)
def test_how_long_to_wait(status: int, header: str | None, seconds: float | None) -> None:
    response = httpx.Response(status, headers={"retry-after": header} if header else {})

    assert retry_after_s(response) == seconds


def test_a_date_to_come_back_at_is_understood() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)

    seconds = retry_after_s(httpx.Response(503, headers={"retry-after": at}))

    assert seconds is not None
    assert 90 < seconds <= 100


def test_an_error_that_is_not_about_a_request_is_no_fault() -> None:
    assert fault_of(KeyError("x")) is None


def test_a_fault_without_its_request_is_taken_for_lost() -> None:
    assert fault_of(httpx.ReadTimeout("")) == HttpFault("unknown", "no answer: ReadTimeout")
