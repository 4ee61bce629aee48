"""Who may ask the codec server: by the page, the token and the namespace of a request."""

import hmac
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from stdops import StdopsError
from workers.codec import Codec
from workers.settings import Settings

_OWN = ("localhost", "127.0.0.1", "::1")


class Access(NamedTuple):
    """What a request needs; no tokens let in everybody, no namespaces are all of them.

    `origins` are the pages whose scripts may ask; what is no page has none.
    """

    origins: tuple[str, ...]
    tokens: tuple[str, ...]
    namespaces: tuple[str, ...]


class Refusal(NamedTuple):
    """Why a request is not answered: an HTTP status, and a sentence for a person."""

    status: int
    message: str


def access_of(settings: Settings) -> Access:
    """Return what the settings ask of a request."""
    ui = urlsplit(settings.ui_url)
    pages = [f"{ui.scheme}://{ui.netloc}", *(each.rstrip("/") for each in settings.codec_origins)]
    if ui.hostname in _OWN:  # a person may write either
        port = f":{ui.port}" if ui.port else ""
        pages += [f"{ui.scheme}://localhost{port}", f"{ui.scheme}://127.0.0.1{port}"]
    given = settings.codec_tokens.get_secret_value().split(",")
    tokens = tuple(token for token in map(str.strip, given) if token)
    return Access(tuple(dict.fromkeys(pages)), tokens, settings.codec_namespaces)


def require_safe(settings: Settings, codec: Codec) -> None:
    """Refuse to serve without a key, or without a token where other machines reach us.

    Raises:
        StdopsError: one of the two (SOP519).
    """
    if not codec.encrypts:
        what = "there is no key of the payload codec, so there is nothing to decrypt"
        fix = "set STDOPS_CODEC_KEYS to the keys of the workers, or make one by `stdops codec-key`"
        raise StdopsError("SOP519", what, where="STDOPS_CODEC_KEYS", fix=fix)
    if settings.codec_host not in _OWN and not access_of(settings).tokens:
        what = "the codec server would decrypt for everybody who reaches it"
        fix = "set STDOPS_CODEC_TOKENS, or let it listen on 127.0.0.1 alone"
        raise StdopsError("SOP519", what, where=settings.codec_host, fix=fix)


def refusal(access: Access, headers: Mapping[str, str], namespace: str) -> Refusal | None:
    """Return why a request is not answered, None where it is.

    `headers` are looked up in lower case. The origin is asked before all else: a page that means
    another name to be this machine sends its own.
    """
    origin = headers.get("origin")
    if origin is not None and origin not in access.origins:
        return Refusal(403, f"pages of {origin} may not ask: add it to STDOPS_CODEC_ORIGINS")
    if access.tokens and not _holds(access.tokens, headers.get("authorization", "")):
        return Refusal(401, "send one of STDOPS_CODEC_TOKENS as `Authorization: Bearer TOKEN`")
    if access.namespaces and namespace not in access.namespaces:
        named = repr(namespace) if namespace else "without a name (header X-Namespace)"
        return Refusal(403, f"the namespace {named} is not served: see STDOPS_CODEC_NAMESPACES")
    return None


def _holds(tokens: Sequence[str], authorization: str) -> bool:
    """Say whether a header holds one of the tokens; takes as long for each wrong one."""
    scheme, _, given = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        return False
    sent = given.strip().encode()
    matches = [hmac.compare_digest(token.encode(), sent) for token in tokens]
    return any(matches)
