"""How values travel: pydantic's JSON, large ones compressed; a refusal without a stack trace.

In this order: JSON, compressed; then, where the settings say so, the SDK's codec, and its external
storage. What Temporal would refuse is refused here, with a word on how to mend it: in a workflow
task a refusal of the server would come back for ever.
"""

import zlib
from dataclasses import replace
from typing import Any, ClassVar, Final

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
)
from temporalio.converter import PayloadConverter as AnyPayloadConverter
from temporalio.exceptions import ApplicationError

from activities.contract import TooLargeError
from workers.codec import CodecError, codec_of
from workers.payload_store import external_storage
from workers.settings import Settings

MOST_INLINE: Final = 1_900_000
"""Bytes of a value as it is sent; the server refuses more than 2 MiB."""
MOST_OFFLOADED: Final = 32 * 1024 * 1024
"""The same where large values are offloaded: workers hold several of them in memory."""

_COMPRESS_FROM: Final = 128 * 1024
_LARGEST: Final = 64 * 1024 * 1024
_ZLIB: Final = "json/zlib"


def inflated(payload: Payload) -> Payload:
    """Return a payload as it was before it was compressed; any other one as it is.

    Raises:
        ValueError: it is larger than 64 MiB then, or is not what was compressed.
    """
    if payload.metadata.get("encoding", b"") != _ZLIB.encode():
        return payload
    reader = zlib.decompressobj()
    try:
        data = reader.decompress(payload.data, _LARGEST)
    except zlib.error as error:
        raise ValueError(f"a compressed payload cannot be read: {error}") from None
    if reader.unconsumed_tail:
        raise ValueError(f"payload is larger than {_LARGEST} bytes")
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


class _Json(PydanticJSONPlainPayloadConverter):
    """JSON, compressed from 128 KiB on: a large plan or state stays under the server's limit."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._most_bytes = most_bytes

    def to_payload(self, value: Any) -> Payload | None:
        payload = super().to_payload(value)
        if payload is None or len(payload.data) < _COMPRESS_FROM:
            return payload
        packed = zlib.compress(payload.data, 1)
        if len(packed) > self._most_bytes or len(payload.data) > _LARGEST:
            raise TooLargeError(self._refusal(len(payload.data), len(packed)))
        return Payload(metadata={"encoding": _ZLIB.encode()}, data=packed)

    def _refusal(self, size: int, packed: int) -> str:
        is_inline = self._most_bytes == MOST_INLINE
        return (
            f"{size} bytes of JSON, {packed} compressed, where at most {self._most_bytes} are "
            "taken; keep the data outside and pass on where it is"
            + (", or have large values offloaded (the setting payload_store)" if is_inline else "")
        )


class _CompressedJson(EncodingPayloadConverter):
    """Reads what `_Json` compressed."""

    def __init__(self, plain: _Json) -> None:
        self._plain = plain

    @property
    def encoding(self) -> str:
        return _ZLIB

    def to_payload(self, value: Any) -> Payload | None:  # noqa: ARG002  `_Json` writes for both
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        return self._plain.from_payload(inflated(payload), type_hint)


class PayloadConverter(CompositePayloadConverter):
    """The SDK's converters with pydantic's JSON, large values compressed, larger ones refused."""

    most_bytes: ClassVar[int] = MOST_INLINE

    def __init__(self) -> None:
        json = _Json(self.most_bytes)
        usual = DefaultPayloadConverter.default_encoding_payload_converters
        chosen = [json if isinstance(c, JSONPlainPayloadConverter) else c for c in usual]
        super().__init__(*chosen, _CompressedJson(json))


class OffloadedPayloadConverter(PayloadConverter):
    """The same, where large values are offloaded."""

    most_bytes: ClassVar[int] = MOST_OFFLOADED


class FailureConverter(DefaultFailureConverter):
    """The SDK's failures, a refused verb without the stack trace that the Web UI would show.

    What is too large to be sent stays so: an activity that gives it is not tried again.
    """

    def to_failure(
        self, exception: BaseException, payload_converter: AnyPayloadConverter, failure: Failure
    ) -> None:
        """Write an exception into a failure."""
        if isinstance(exception, TooLargeError):
            text = f"what it gives is too large: {exception}"
            exception = ApplicationError(text, type="SOP532", non_retryable=True)
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, CodecError):  # who could decrypt it does not need to be told
            failure.ClearField("encoded_attributes")
            failure.message, failure.stack_trace = str(exception), ""
        elif isinstance(exception, ApplicationError) and exception.type == "OperationRefused":
            _drop_stack_trace(failure, payload_converter)


class HiddenFailureConverter(FailureConverter):
    """Failures whose texts a codec encrypts too."""

    def __init__(self) -> None:
        super().__init__(encode_common_attributes=True)


def _drop_stack_trace(failure: Failure, payload_converter: AnyPayloadConverter) -> None:
    failure.stack_trace = ""
    if not failure.HasField("encoded_attributes"):
        return
    hidden: dict[str, str] = payload_converter.from_payload(failure.encoded_attributes)
    texts = {**hidden, "stack_trace": ""}
    failure.encoded_attributes.CopyFrom(payload_converter.to_payload(texts))


DATA_CONVERTER: Final = DataConverter(
    payload_converter_class=PayloadConverter, failure_converter_class=FailureConverter
)


def data_converter(settings: Settings) -> DataConverter:
    """Return how workers and clients of these settings send values.

    Raises:
        StdopsError: the payload store cannot be used (SOP530), or the codec's keys (SOP513).
    """
    codec = codec_of(settings)
    hidden = HiddenFailureConverter if codec.encrypts else FailureConverter
    coded = replace(DATA_CONVERTER, payload_codec=codec, failure_converter_class=hidden)
    storage = external_storage(settings)
    if storage is None:
        return coded
    return replace(
        coded,
        payload_converter_class=OffloadedPayloadConverter,
        external_storage=storage,
    )


def most_bytes(settings: Settings) -> int:
    """Return how large a value may be by these settings, in bytes as it is sent."""
    return MOST_OFFLOADED if settings.payload_store else MOST_INLINE
