"""The codec server answers Temporal's protocol, and nobody who may not ask."""

import base64
import json
import zlib
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload

from stdops import StdopsError
from workers.codec import Codec
from workers.codec_server import app as codec_app
from workers.codec_server.access import Access, access_of, require_safe
from workers.codec_server.app import make_app
from workers.settings import Settings

KEY = b"k" * 32
CODEC = Codec([KEY])
OUTSIDE = "10.0.0.1"
PAGE = "http://localhost:8233"
TOKEN = "token-of-sixteen-and-more"
OPEN = Access((PAGE,), (), ())


def as_json(payload: Payload) -> dict[str, Any]:
    metadata = {k: base64.b64encode(v).decode() for k, v in payload.metadata.items()}
    return {"metadata": metadata, "data": base64.b64encode(payload.data).decode()}


CLEAR = Payload(metadata={"encoding": b"json/plain"}, data=b'{"a": "b"}')
HIDDEN = {"payloads": [as_json(CODEC.encrypted(CLEAR))]}


async def ask(
    path: str,
    body: Any,
    access: Access = OPEN,
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> httpx.Response:
    transport = httpx.ASGITransport(app=make_app(CODEC, access))
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx.AsyncClient(transport=transport, base_url="http://codec") as client:
        return await client.request(method, path, content=content, headers=headers)


@pytest.mark.parametrize("path", ["/decode", "/default/decode"])
async def test_payloads_are_decrypted(path: str) -> None:
    answer = await ask(path, HIDDEN)

    assert answer.json() == {"payloads": [as_json(CLEAR)]}


async def test_payloads_are_encrypted() -> None:
    answer = await ask("/encode", {"payloads": [as_json(CLEAR)]})

    [made] = answer.json()["payloads"]
    assert base64.b64decode(made["metadata"]["encoding"]) == b"binary/encrypted"
    assert (await ask("/decode", {"payloads": [made]})).json()["payloads"] == [as_json(CLEAR)]


async def test_a_compressed_value_is_shown_as_the_json_that_it_was() -> None:
    packed = Payload(metadata={"encoding": b"json/zlib"}, data=zlib.compress(CLEAR.data))

    answer = await ask("/decode", {"payloads": [as_json(CODEC.encrypted(packed))]})

    assert answer.json()["payloads"] == [as_json(CLEAR)]


async def test_what_is_not_encrypted_comes_back_as_it_is() -> None:
    answer = await ask("/decode", {"payloads": [as_json(CLEAR)]})

    assert answer.json()["payloads"] == [as_json(CLEAR)]


@pytest.mark.parametrize(
    "body", [b"", b"no json", b'{"payloads": 5}', b'{"payloads": [{"data": 5}]}', b"\xff"]
)
async def test_another_body_is_refused_with_a_word(body: bytes) -> None:
    answer = await ask("/decode", body)

    assert (answer.status_code, "payloads" in answer.json()["message"]) == (400, True)


async def test_a_missing_key_is_named_to_who_asks() -> None:
    other = Codec([b"x" * 32])

    answer = await ask("/decode", {"payloads": [as_json(other.encrypted(CLEAR))]})

    assert answer.status_code == 400
    assert other.key_ids[0] in answer.json()["message"]


async def test_a_body_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_app, "MOST_BYTES", 10)

    assert (await ask("/decode", HIDDEN)).status_code == 413


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer another"}, 401),
        ({"authorization": TOKEN}, 401),
        ({"authorization": f"Bearer {TOKEN}"}, 200),
        ({"authorization": f"bearer  {TOKEN}"}, 200),
        ({"authorization": f"Bearer {TOKEN}", "origin": "http://evil.example"}, 403),
        ({"authorization": f"Bearer {TOKEN}", "origin": PAGE}, 200),
    ],
)
async def test_a_token_opens_and_a_strange_page_does_not(sent: dict[str, str], status: int) -> None:
    access = Access((PAGE,), ("another-token-of-the-ring", TOKEN), ())

    assert (await ask("/decode", HIDDEN, access, sent)).status_code == status


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/decode", {"x-namespace": "ours"}, 200),
        ("/ours/decode", {}, 200),
        ("/decode", {"x-namespace": "theirs"}, 403),
        ("/ours/decode", {"x-namespace": "theirs"}, 403),
        ("/decode", {}, 403),
    ],
)
async def test_only_the_namespaces_of_the_settings_are_served(
    path: str, headers: dict[str, str], status: int
) -> None:
    access = Access((PAGE,), (), ("ours",))

    assert (await ask(path, HIDDEN, access, headers)).status_code == status


@pytest.mark.parametrize(("origin", "status"), [(PAGE, 200), ("http://evil.example", 400)])
async def test_a_browser_is_told_which_pages_may_ask(origin: str, status: int) -> None:
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-namespace,authorization",
    }

    answer = await ask("/decode", b"", headers=asked, method="OPTIONS")

    assert answer.status_code == status
    allowed = answer.headers.get("access-control-allow-origin")
    assert allowed == (PAGE if status == 200 else None)


async def test_health_needs_no_token() -> None:
    access = Access((PAGE,), (TOKEN,), ())

    assert (await ask("/healthz", b"", access, method="GET")).json()["status"] == "ok"


def test_the_page_of_this_machine_is_known_by_both_of_its_names() -> None:
    access = access_of(Settings(ui_url="http://127.0.0.1:8080/", codec_origins=("https://t.x/",)))

    assert set(access.origins) == {
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "https://t.x",
    }


@pytest.mark.parametrize(
    ("codec", "settings", "said"),
    [
        (Codec(), Settings(), "no key"),
        (CODEC, Settings(codec_host=OUTSIDE), "everybody"),
    ],
    ids=["no key", "no token"],
)
def test_it_is_not_served_unsafely(codec: Codec, settings: Settings, said: str) -> None:
    with pytest.raises(StdopsError, match=said) as error:
        require_safe(settings, codec)

    assert error.value.code == "SOP519"


def test_it_is_served_with_a_token_or_for_this_machine_alone() -> None:
    require_safe(Settings(codec_host=OUTSIDE, codec_tokens=SecretStr(TOKEN)), CODEC)
    require_safe(Settings(), CODEC)
