"""Tokens: what they name comes back, and nothing that was touched does."""

import base64
import json
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.callbacks import (
    LONGEST_TOKEN,
    PURPOSE,
    CallbackUrls,
    Claims,
    ForgedTokenError,
    make_token,
    read_token,
)
from activities.expressions.opening import opening
from activities.expressions.secrets import Keys, new_key

NEW, OLD, STRANGE = b"n" * 32, b"o" * 32, b"s" * 32
CLAIMS = Claims("release-1", "sub/node", 3, 1_800_000_000)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHOWN = st.text(min_size=1, max_size=40).filter(str.isprintable)


@given(run=SHOWN, node=SHOWN, entry=st.integers(1, 2**31 - 1), at=st.integers(0, 2**33 - 1))
def test_a_token_names_what_it_was_made_for(run: str, node: str, entry: int, at: int) -> None:
    claims = Claims(run, node, entry, at)

    token = make_token([NEW], claims)

    assert read_token([NEW], token) == claims
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")


@given(data=st.data())
def test_a_token_with_any_bit_changed_is_forged(data: st.DataObject) -> None:
    token = make_token([NEW], CLAIMS)
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = base64.urlsafe_b64encode(raw).decode().rstrip("=")

    with pytest.raises(ForgedTokenError):
        read_token([NEW], changed)


@given(st.text(max_size=200))
def test_whatever_is_no_token_is_forged(text: str) -> None:
    with pytest.raises(ForgedTokenError):
        read_token([NEW], text)


def test_a_token_of_a_key_that_was_put_behind_another_still_counts() -> None:
    token = make_token([OLD], CLAIMS)

    assert read_token([NEW, OLD], token) == CLAIMS
    with pytest.raises(ForgedTokenError):
        read_token([NEW], token)


def test_a_forged_token_says_what_it_claims_but_not_that_it_is_true() -> None:
    with pytest.raises(ForgedTokenError) as caught:
        read_token([NEW, OLD], make_token([STRANGE], CLAIMS))

    assert caught.value.claims == CLAIMS


@pytest.mark.parametrize(
    "claims",
    [
        ["run", "node", 0, 1],
        ["run", "node", True, 1],
        ["run", "node", 1.5, 1],
        ["run", "node", 1, -1],
        ["run", "node", 1],
        ["", "node", 1, 1],
        ["run\x00", "node", 1, 1],
        ["run", "a\nb", 1, 1],
        ["run", ["node"], 1, 1],
        {"run": "node"},
        "run",
    ],
    ids=str,
)
def test_claims_that_nobody_makes_are_not_told(claims: object) -> None:
    text = json.dumps(claims).encode()
    token = base64.urlsafe_b64encode(b"\x01" + b"x" * 32 + text).decode().rstrip("=")

    with pytest.raises(ForgedTokenError) as caught:
        read_token([NEW], token)

    assert caught.value.claims is None


def test_a_token_longer_than_any_is_not_even_decoded() -> None:
    with pytest.raises(ForgedTokenError) as caught:
        read_token([NEW], "A" * (LONGEST_TOKEN + 4))

    assert caught.value.claims is None


def test_an_address_is_the_same_each_time_and_expires() -> None:
    keys = Keys.of(new_key())
    urls = CallbackUrls("https://ops.test/stdops/", keys, 3600)

    url = urls.url("release-1", "node", 1, NOW)

    assert url == urls.url("release-1", "node", 1, NOW)
    base, _, token = url.rpartition("/")
    assert base == "https://ops.test/stdops/callback"
    claims = read_token(keys.derived(PURPOSE), token)
    assert claims == Claims("release-1", "node", 1, int(NOW.timestamp()) + 3600)


def test_a_key_for_callbacks_is_not_the_key_of_secrets() -> None:
    raw = new_key()

    assert Keys.of(raw).derived(PURPOSE) != [raw]
    assert Keys.of(raw).derived(PURPOSE) != Keys.of(raw).derived(b"another")


def test_an_address_is_masked_in_what_its_activity_tells() -> None:
    keys = Keys.of(new_key())
    urls = CallbackUrls("https://ops.test", keys, 3600)

    with opening(keys) as secrets:
        url = urls.url("release-1", "node", 1, NOW)
        told = secrets.masked({"asked": f"POST with {url}"})

    assert told == {"asked": "POST with https://ops.test/callback/******"}
