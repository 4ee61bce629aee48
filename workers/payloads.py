"""How values travel: pydantic's JSON, large ones compressed; a refusal without a stack trace."""

import zlib
from typing import Any, Final

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

_COMPRESS_FROM: Final = 128 * 1024
_LARGEST: Final = 64 * 1024 * 1024
_ZLIB: Final = "json/zlib"


class _Json(PydanticJSONPlainPayloadConverter):
    """JSON, compressed from 128 KiB on: a large plan or state stays under the server's limit."""

    def to_payload(self, value: Any) -> Payload | None:
        payload = super().to_payload(value)
        if payload is None or len(payload.data) < _COMPRESS_FROM:
            return payload
        return Payload(metadata={"encoding": _ZLIB.encode()}, data=zlib.compress(payload.data, 1))


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
        reader = zlib.decompressobj()
        data = reader.decompress(payload.data, _LARGEST)
        if reader.unconsumed_tail:
            raise ValueError(f"payload is larger than {_LARGEST} bytes")
        return self._plain.from_payload(Payload(data=data), type_hint)


class PayloadConverter(CompositePayloadConverter):
    """The SDK's converters with pydantic's JSON, large values compressed."""

    def __init__(self) -> None:
        json = _Json()
        usual = DefaultPayloadConverter.default_encoding_payload_converters
        chosen = [json if isinstance(c, JSONPlainPayloadConverter) else c for c in usual]
        super().__init__(*chosen, _CompressedJson(json))


class FailureConverter(DefaultFailureConverter):
    """The SDK's failures, a refused verb without the stack trace that the Web UI would show."""

    def to_failure(
        self, exception: BaseException, payload_converter: AnyPayloadConverter, failure: Failure
    ) -> None:
        """Write an exception into a failure."""
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, ApplicationError) and exception.type == "OperationRefused":
            failure.stack_trace = ""


DATA_CONVERTER: Final = DataConverter(
    payload_converter_class=PayloadConverter, failure_converter_class=FailureConverter
)
