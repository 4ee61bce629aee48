"""Sealing and opening: AES-256-GCM under keys that only workers and the command line have.

A sealed value is `{"$sealed": "<key id>.<base64url of nonce and cipher text>"}`; what is sealed is
JSON, so that a secret may be text, a number or an object. The first key seals, all of them open, so
that a new key can be put in front while old values are still about.
"""

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final, Self, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import JsonValue

from translator.values import SEALED

KEY_BYTES: Final = 32

_NONCE_BYTES: Final = 12
_ID_CHARS: Final = 8
_PURPOSE: Final = b"stdops.sealed"
"""Bound into each cipher text, so that nothing else sealed with the key passes for a value."""


class SecretError(Exception):
    """A sealed value cannot be opened; the text is for a person and shows nothing of it."""


class Keys:
    """The keys of an installation; `load` gives them, in order, when one is first needed."""

    def __init__(self, load: Callable[[], Sequence[bytes]]) -> None:
        self._load = load

    @classmethod
    def of(cls, *raw: bytes) -> Self:
        """Return these keys, 32 bytes each."""
        return cls(lambda: raw)

    @classmethod
    def fresh(cls) -> Self:
        """Return a new key that lives as long as the process."""
        return cls.of(new_key())

    def seal(self, value: JsonValue) -> dict[str, JsonValue]:
        """Return `value` sealed with the first key; each time another cipher text."""
        key_id = next(iter(self._ciphers))
        nonce = os.urandom(_NONCE_BYTES)
        text = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        hidden = nonce + self._ciphers[key_id].encrypt(nonce, text, _PURPOSE)
        return {SEALED: f"{key_id}.{base64.urlsafe_b64encode(hidden).decode()}"}

    def open(self, sealed: Mapping[str, str]) -> JsonValue:
        """Return what was sealed.

        Raises:
            SecretError: it was sealed with another key, or is not what was sealed.
        """
        key_id, _, text = sealed[SEALED].partition(".")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretError(
                f"a value is sealed with a key that this worker does not have (key id "
                f"{key_id[:_ID_CHARS]!r}): set STDOPS_SECRET_KEYS"
            )
        try:
            hidden = base64.b64decode(text, altchars=b"-_", validate=True)
            plain = cipher.decrypt(hidden[:_NONCE_BYTES], hidden[_NONCE_BYTES:], _PURPOSE)
        except (ValueError, InvalidTag):
            raise SecretError(
                f"a sealed value was changed on its way (key id {key_id!r}): seal it again"
            ) from None
        return cast("JsonValue", json.loads(plain.decode("utf-8", "surrogatepass")))  # was JSON

    def derived(self, purpose: bytes) -> list[bytes]:
        """Return a key for another purpose of each key, in order; none tells of its origin."""
        return [hmac.digest(raw, purpose, "sha256") for raw in self._raw]

    @cached_property
    def _raw(self) -> tuple[bytes, ...]:
        return tuple(self._load())

    @cached_property
    def _ciphers(self) -> dict[str, AESGCM]:
        return {key_id(raw): AESGCM(raw) for raw in self._raw}


def new_key() -> bytes:
    """Return a new random key."""
    return AESGCM.generate_key(KEY_BYTES * 8)


def key_id(raw: bytes) -> str:
    """Return the name by which a sealed value knows its key; it tells nothing of the key."""
    return hashlib.sha256(_PURPOSE + raw).hexdigest()[:_ID_CHARS]


def read_keys(text: str) -> list[bytes]:
    """Return the keys in `text`: base64 of 32 bytes each, with commas between.

    Raises:
        ValueError: one of them is none; the text is not shown.
    """
    keys: list[bytes] = []
    parts = [part for part in (each.strip() for each in text.split(",")) if part]
    for number, part in enumerate(parts, 1):
        try:
            raw = base64.b64decode(part.replace("-", "+").replace("_", "/"), validate=True)
        except ValueError:
            raise ValueError(f"key {number} is not base64") from None
        if len(raw) != KEY_BYTES:
            raise ValueError(f"key {number} has {len(raw)} bytes, it must have {KEY_BYTES}")
        keys.append(raw)
    return keys
