"""The payload codec: what travels to Temporal is encrypted, and only who has the keys reads it.

AES-256-GCM over a whole payload, its metadata too. The key's id stands beside the cipher text, so
that a key can be changed while old runs go on: the first key encrypts, all decrypt. What is not
encrypted is read as it is, so that a codec can be introduced while workers and clients without one
are about. Values are compressed before they come here, and kept outside of Temporal after it.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from activities.expressions.secrets import read_keys
from stdops import SettingsError
from workers.secrets import keys_in

if TYPE_CHECKING:
    from workers.settings import Settings

ENCODING: Final = "binary/encrypted"
"""The `encoding` in the metadata of an encrypted payload, as in Temporal's own examples."""
KEY_ID: Final = "encryption-key-id"
"""The name of the key's id in the metadata of an encrypted payload."""
KEY_FILE: Final = "codec.key"

_NONCE_BYTES: Final = 12
_ID_CHARS: Final = 8
_PURPOSE: Final = b"stdops.payload"
"""Bound into each cipher text, so that nothing else encrypted with the key passes for a payload."""


class CodecError(RuntimeError):
    """An encrypted payload cannot be read; the text is for a person and shows nothing of it."""


# --- keys -------------------------------------------------------------------------------------


def codec_of(settings: "Settings") -> "Codec":
    """Return the codec of an installation: the keys of the settings, else of the key file if any.

    One without keys encrypts nothing, and says which key is missing where it meets an encrypted
    payload.

    Raises:
        SettingsError: the key file cannot be read, or holds something else (SOP513).
    """
    text = settings.codec_keys.get_secret_value().strip()
    return Codec(read_keys(text) if text else _keys_of_file(settings))


def _keys_of_file(settings: "Settings") -> list[bytes]:
    file = settings.data_dir / KEY_FILE
    try:
        keys = read_keys(file.read_text("ascii"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        what = f"the key file of the payload codec cannot be used: {reason}"
        fix = "mend it, or set STDOPS_CODEC_KEYS to the keys of the other machines"
        raise SettingsError("SOP513", what, where=str(file), fix=fix) from None
    if keys:
        return keys
    fix = "put a key into it, or remove it, which ends the encryption"
    raise SettingsError("SOP513", "the key file holds no key", where=str(file), fix=fix)


def make_key_file(settings: "Settings") -> None:
    """Make a key file for its owner alone, unless there are keys already.

    Raises:
        SettingsError: it cannot be made (SOP513).
    """
    if not codec_of(settings).encrypts:
        keys_in(settings.data_dir, KEY_FILE)


def key_id(raw: bytes) -> str:
    """Return the name by which a payload knows its key; it tells nothing of the key."""
    return hashlib.sha256(_PURPOSE + raw).hexdigest()[:_ID_CHARS]


# --- the codec --------------------------------------------------------------------------------


@final
class Codec(PayloadCodec):
    """Encrypts with the first of its keys, decrypts with all; without keys it encrypts nothing.

    Args:
        keys: 32 bytes each.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._ciphers: Final = {key_id(raw): AESGCM(raw) for raw in keys}

    @property
    def encrypts(self) -> bool:
        """Whether there is a key to encrypt with."""
        return bool(self._ciphers)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys, in order."""
        return tuple(self._ciphers)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt payloads, each on its own; what is encrypted already stays as it is."""
        return [self.encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt payloads; what is not encrypted stays as it is.

        Raises:
            CodecError: a key is missing, or a payload was changed on its way.
        """
        return [self.decrypted(payload) for payload in payloads]

    def encrypted(self, payload: Payload) -> Payload:
        """Return a payload encrypted; each time another cipher text."""
        if not self._ciphers or is_encrypted(payload):
            return payload
        name, cipher = next(iter(self._ciphers.items()))
        nonce = os.urandom(_NONCE_BYTES)
        data = nonce + cipher.encrypt(nonce, payload.SerializeToString(), _PURPOSE)
        metadata = {"encoding": ENCODING.encode(), KEY_ID: name.encode()}
        return Payload(metadata=metadata, data=data)

    def decrypted(self, payload: Payload) -> Payload:
        """Return what was encrypted.

        Raises:
            CodecError: the key is missing, or the payload was changed on its way.
        """
        if not is_encrypted(payload):
            return payload
        name = _key_of(payload)
        cipher = self._ciphers.get(name)
        if cipher is None:
            has = f"has {', '.join(map(repr, self.key_ids))}" if self.key_ids else "has none"
            raise CodecError(f"{missing_key(payload)} (this process {has})")
        nonce, hidden = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, hidden, _PURPOSE))
        except (InvalidTag, ValueError, DecodeError):
            raise CodecError(
                f"an encrypted payload was changed on its way (key id {name!r})"
            ) from None


def is_encrypted(payload: Payload) -> bool:
    """Say whether a payload is one that a codec such as ours has encrypted."""
    # without a key's id it is not of ours: the converter refuses it, and no run waits for a key
    return payload.metadata.get("encoding", b"") == ENCODING.encode() and KEY_ID in payload.metadata


def missing_key(payload: Payload) -> str:
    """Return which key an encrypted payload needs, and how it comes here."""
    return (
        f"a payload needs the key {_key_of(payload)!r}, which is missing here: add it to "
        "STDOPS_CODEC_KEYS and start again"
    )


def _key_of(payload: Payload) -> str:
    return payload.metadata.get(KEY_ID, b"").decode("ascii", "replace")[:64]


def describe_keys(codec: Codec) -> str:
    """Return one line on a codec's keys, for people; shows ids alone."""
    if not codec.encrypts:
        return "off"
    first, *others = codec.key_ids
    more = f", {', '.join(others)} decrypt too" if others else ""
    return f"encrypts with key {first}{more}"


def fresh_key() -> str:
    """Return a new key as it stands in the settings."""
    from activities.expressions.secrets import new_key

    return base64.b64encode(new_key()).decode()
