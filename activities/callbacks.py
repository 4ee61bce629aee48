"""Addresses that the outside calls back: a token names run, node and entry, and cannot be forged.

A token is a capability: whoever has it may answer that one execution of the node until it expires.
What it names can be read by anybody; that it is ours shows its signature (HMAC-SHA256).

A token is base64url of one byte that gives the version, 32 of signature, and the claims as JSON.
"""

import base64
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from activities.expressions.secrets import Keys

PURPOSE: Final = b"stdops.callback"
"""What the signing keys are derived for from the keys of secrets."""

PATH: Final = "/callback/"
LONGEST_TOKEN: Final = 8192

_VERSION: Final = b"\x01"
_SIGNATURE_BYTES: Final = 32


class Claims(NamedTuple):
    """What a token names; `expires_at` in seconds since the epoch."""

    run: str
    node: str
    entry: int
    expires_at: int


class ForgedTokenError(Exception):
    """A token was not made by this installation; `claims` are what it says of itself, if it does.

    Nothing may be done on the strength of them.
    """

    def __init__(self, what: str, claims: Claims | None = None) -> None:
        super().__init__(what)
        self.claims = claims


class CallbackUrls(NamedTuple):
    """Makes the addresses: below `base`, signed with `keys`, good for `ttl_s` seconds."""

    base: str
    keys: "Keys"
    ttl_s: int

    def url(self, run: str, node: str, entry: int, now: datetime) -> str:
        """Return the address for one execution of a node.

        In an activity it is masked from now on in all that people read.
        """
        from activities.expressions.opening import current

        expires_at = int((now + timedelta(seconds=self.ttl_s)).timestamp())
        token = make_token(self.keys.derived(PURPOSE), Claims(run, node, entry, expires_at))
        found = current()
        if found is not None:
            found.remember(token)
        return f"{self.base.rstrip('/')}{PATH}{token}"


def make_token(keys: Sequence[bytes], claims: Claims) -> str:
    """Return a token for `claims`, signed with the first key; made of letters, digits, - and _."""
    text = json.dumps(list(claims), ensure_ascii=False, separators=(",", ":"))
    signed = _VERSION + text.encode("utf-8", "surrogatepass")
    raw = _VERSION + hmac.digest(keys[0], signed, "sha256") + signed[len(_VERSION) :]
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_token(keys: Sequence[bytes], token: str) -> Claims:
    """Return what a token names; whether it has expired is for the caller to see.

    Raises:
        ForgedTokenError: none of the keys has signed it.
    """
    raw = _decoded(token)
    if len(raw) <= len(_VERSION) + _SIGNATURE_BYTES or not raw.startswith(_VERSION):
        raise ForgedTokenError("the address holds no callback token")
    signature = raw[len(_VERSION) : len(_VERSION) + _SIGNATURE_BYTES]
    text = raw[len(_VERSION) + _SIGNATURE_BYTES :]
    # each key is tried, so that the time tells nothing of which one it was
    fits = [hmac.compare_digest(_signature(key, text), signature) for key in keys]
    claims = _claims(text)
    if claims is None or not any(fits):
        raise ForgedTokenError("the token was not made by this installation", claims)
    return claims


def expiry(claims: Claims) -> datetime:
    """Return when a token ceases to count."""
    return datetime.fromtimestamp(claims.expires_at, UTC)


def _signature(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, _VERSION + text, "sha256")


def _decoded(token: str) -> bytes:
    if not token or len(token) > LONGEST_TOKEN or not token.isascii():
        return b""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def _claims(text: bytes) -> Claims | None:
    try:
        found: Any = json.loads(text)
        run, node, entry, expires_at = found
    except (ValueError, TypeError, RecursionError):
        return None
    texts = isinstance(run, str) and isinstance(node, str) and _is_text(run) and _is_text(node)
    numbers = type(entry) is int and type(expires_at) is int
    in_range = texts and numbers and 0 < entry < 2**31 and 0 <= expires_at < 2**33
    return Claims(run, node, entry, expires_at) if in_range else None


def _is_text(text: str) -> bool:
    """Whether any store can hold it; what a forger writes need not be."""
    return bool(text) and "\0" not in text and text.isprintable()
