"""The payload codec: what it hides, how its keys change, what it says where one is missing."""

import base64
import os
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.exceptions import ApplicationError

from stdops import SettingsError
from workers.codec import (
    ENCODING,
    KEY_FILE,
    KEY_ID,
    Codec,
    CodecError,
    codec_of,
    describe_keys,
    fresh_key,
    is_encrypted,
    key_id,
    make_key_file,
)
from workers.payloads import data_converter
from workers.settings import Settings

OLD, NEW = b"o" * 32, b"n" * 32
WORDS = "canary-4c1d-words"


def text(*keys: bytes) -> SecretStr:
    return SecretStr(",".join(base64.b64encode(key).decode() for key in keys))


def raised(error: ApplicationError) -> ApplicationError:
    """Return an error with the stack trace that raising gives it."""
    with pytest.raises(ApplicationError):
        raise error
    return error


async def test_what_is_encrypted_shows_neither_value_nor_metadata_and_comes_back() -> None:
    codec = Codec([NEW])
    clear = Payload(metadata={"encoding": b"json/plain", "messageType": b"x"}, data=WORDS.encode())

    [hidden] = await codec.encode([clear])

    assert hidden.metadata == {"encoding": ENCODING.encode(), KEY_ID: key_id(NEW).encode()}
    assert WORDS.encode() not in hidden.SerializeToString()
    assert await codec.decode([hidden]) == [clear]


def test_the_same_payload_is_never_encrypted_to_the_same_text() -> None:
    codec, clear = Codec([NEW]), Payload(data=b"1")

    assert codec.encrypted(clear).data != codec.encrypted(clear).data


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    clear = Payload(data=b"1")
    old, both = Codec([OLD]), Codec([NEW, OLD])

    assert both.decrypted(old.encrypted(clear)) == clear
    assert both.encrypted(clear).metadata[KEY_ID] == key_id(NEW).encode()


def test_what_is_not_encrypted_is_read_as_it_is() -> None:
    clear = Payload(metadata={"encoding": b"json/plain"}, data=b"1")

    assert Codec([NEW]).decrypted(clear) == clear
    assert Codec().encrypted(clear) == clear


def test_a_missing_key_is_named() -> None:
    hidden = Codec([OLD]).encrypted(Payload(data=b"1"))

    with pytest.raises(CodecError, match=f"{key_id(OLD)}.*STDOPS_CODEC_KEYS.*{key_id(NEW)}"):
        Codec([NEW]).decrypted(hidden)
    with pytest.raises(CodecError, match="has none"):
        Codec().decrypted(hidden)


@pytest.mark.parametrize("place", [0, 12, -1], ids=["nonce", "text", "tag"])
def test_a_changed_payload_is_refused(place: int) -> None:
    codec = Codec([NEW])
    hidden = codec.encrypted(Payload(data=b"12345"))
    changed = bytearray(hidden.data)
    changed[place] ^= 1

    with pytest.raises(CodecError, match="changed on its way"):
        codec.decrypted(Payload(metadata=dict(hidden.metadata), data=bytes(changed)))


def test_an_encrypted_payload_is_not_encrypted_again() -> None:
    hidden = Codec([OLD]).encrypted(Payload(data=b"1"))

    assert Codec([NEW]).encrypted(hidden) == hidden


async def test_a_large_value_is_compressed_before_it_is_encrypted() -> None:
    converter = data_converter(Settings(codec_keys=text(NEW)))

    [payload] = await converter.encode(["x" * 1_000_000])

    assert is_encrypted(payload)
    assert len(payload.data) < 50_000
    assert await converter.decode([payload]) == ["x" * 1_000_000]


async def test_a_failure_travels_without_its_texts_and_gets_them_back() -> None:
    converter = data_converter(Settings(codec_keys=text(NEW)))
    info = PendingActivityInfo()
    await converter.encode_failure(raised(ApplicationError(WORDS, WORDS)), info.last_failure)

    assert WORDS.encode() not in info.SerializeToString()
    back = await converter.decode_failure(info.last_failure)
    assert isinstance(back, ApplicationError)
    assert (back.message, back.details) == (WORDS, (WORDS,))


async def test_a_failure_for_want_of_a_key_is_told_in_clear() -> None:
    converter = data_converter(Settings(codec_keys=text(NEW)))
    info = PendingActivityInfo()

    await converter.encode_failure(CodecError("the key is missing"), info.last_failure)

    assert info.last_failure.message == "the key is missing"
    assert not info.last_failure.HasField("encoded_attributes")


async def test_a_refused_verb_keeps_its_reason_and_loses_its_stack_trace() -> None:
    converter = data_converter(Settings(codec_keys=text(NEW)))
    info = PendingActivityInfo()
    refused = raised(ApplicationError("not now", type="OperationRefused"))
    await converter.encode_failure(refused, info.last_failure)

    back = await converter.decode_failure(info.last_failure)
    assert isinstance(back, ApplicationError)
    assert back.failure is not None
    assert (back.message, back.failure.stack_trace) == ("not now", "")


def test_nothing_is_encrypted_without_a_key(tmp_path: Path) -> None:
    codec = codec_of(Settings(data_dir=tmp_path))

    assert not codec.encrypts
    assert describe_keys(codec) == "off"
    assert not (tmp_path / KEY_FILE).exists()


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    make_key_file(settings)
    first = codec_of(settings).key_ids
    make_key_file(settings)

    assert codec_of(settings).key_ids == first
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "no key", "AAAA"], ids=["empty", "text", "short"])
def test_a_key_file_without_a_key_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / KEY_FILE).write_text(content)

    with pytest.raises(SettingsError, match="key") as error:
        codec_of(Settings(data_dir=tmp_path))

    assert error.value.code == "SOP513"
    assert str(tmp_path) in str(error.value)


def test_a_new_key_is_one_for_the_settings() -> None:
    codec = codec_of(Settings(codec_keys=SecretStr(f"{fresh_key()},{fresh_key()}")))

    assert len(codec.key_ids) == 2
    assert "decrypt too" in describe_keys(codec)


def test_a_settings_dump_shows_no_key() -> None:
    key = base64.b64encode(os.urandom(32)).decode()

    assert key not in repr(Settings(codec_keys=SecretStr(key)))
