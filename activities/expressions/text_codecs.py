"""Text encodings that the sandbox lacks, answered by the worker: pure, bounded, an allow list."""

import codecs
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from activities.expressions.program import CODECS

MAX_SIZE: Final = 1_000_000
"""Longest text, in characters or bytes, that is encoded or decoded."""

_ALLOWED: Final = frozenset(
    codecs.lookup(name).name
    for name in (
        *("ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"),
        *("gbk", "gb2312", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"),
        *("latin-1", "iso8859-15", "cp1252"),
    )
)
_HANDLERS: Final = frozenset({"strict", "ignore", "replace"})


def encode(text: str, encoding: str, errors: str = "strict") -> bytes:
    """Encode text as `str.encode` does.

    Raises:
        LookupError: the encoding or the way to handle errors is not on the list.
        UnicodeError: the text cannot be encoded.
    """
    _check(text, encoding, errors)
    return text.encode(encoding, errors)


def decode(data: bytes, encoding: str, errors: str = "strict") -> str:
    """Decode bytes as `bytes.decode` does.

    Raises:
        LookupError: the encoding or the way to handle errors is not on the list.
        UnicodeError: the bytes cannot be decoded.
    """
    _check(data, encoding, errors)
    return data.decode(encoding, errors)


FUNCTIONS: Final[Mapping[str, Callable[..., str | bytes]]] = MappingProxyType(
    {CODECS["encode"]: encode, CODECS["decode"]: decode}
)
"""The functions by the names under which programs call them."""


def _check(value: str | bytes, encoding: str, errors: str) -> None:
    if codecs.lookup(encoding).name not in _ALLOWED or errors not in _HANDLERS:
        raise LookupError(f"unknown encoding: {encoding}")
    if len(value) > MAX_SIZE:
        raise ValueError(f"longer than {MAX_SIZE}")
