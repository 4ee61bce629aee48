"""What was encoded on its way to the server, put back as it was before it is read.

The events of a history come as the server has them: large values as references to the payload
store, all of them behind a codec where there are keys. Here they become what the payload converter
alone can read, and a failure gets back the texts that were encrypted with it.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar, cast

from google.protobuf.message import Message
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.converter import DataConverter

from stdops import StdopsError
from workers.codec import is_encrypted, missing_key
from workers.payloads import inflated

M = TypeVar("M", bound=Message)

_AT_ONCE: Final = 8


class _Texts(BaseModel):
    """What the SDK takes out of a failure to have it encrypted."""

    message: str = ""
    stack_trace: str = ""


async def open_messages(client: Client, messages: Iterable[Message]) -> None:
    """Put back every payload in messages, in place; one that cannot be had stays as it came.

    What reads it then finds no value there, as with any payload that it cannot decode.
    """
    converter, given = client.data_converter, list(messages)
    if converter.payload_codec is None and converter.external_storage is None:
        return
    gate = asyncio.Semaphore(_AT_ONCE)

    async def put_back(payload: Payload) -> None:
        async with gate:
            await _put_back(converter, payload)

    found = [payload for message in given for payload in _of(Payload, message)]
    await asyncio.gather(*map(put_back, found))
    for message in given:
        for failure in _of(Failure, message):
            _put_back_texts(failure)


async def _put_back(converter: DataConverter, payload: Payload) -> None:
    try:
        [raw] = await converter.decode([payload], [RawValue])
    except (StdopsError, ValueError, RuntimeError, KeyError):
        return
    payload.CopyFrom(raw.payload)


def _put_back_texts(failure: Failure) -> None:
    """Give a failure its message and stack trace, or a message on what keeps us from them."""
    if not failure.HasField("encoded_attributes"):
        return
    hidden = failure.encoded_attributes
    if is_encrypted(hidden):
        failure.message = f"encrypted: {missing_key(hidden)}"
        return
    try:
        texts = _Texts.model_validate_json(inflated(hidden).data)
    except ValueError:
        return  # of another converter: what it says in clear is all there is
    failure.message, failure.stack_trace = texts.message, texts.stack_trace


def _of(kind: type[M], message: Message) -> Iterator[M]:
    """Yield every message of a kind in a message, at any depth."""
    if isinstance(message, kind):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in _messages(value):
                yield from _of(kind, each)


def _messages(value: Any) -> Iterator[Message]:
    """Yield the messages in the value of a field: one, a list of them, or the values of a map."""
    if isinstance(value, Message):
        yield value
        return
    # a map of protobuf is one by its methods alone
    each = cast("Iterable[object]", value.values() if hasattr(value, "values") else value)
    for one in each:
        if isinstance(one, Message):
            yield one
