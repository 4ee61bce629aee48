"""What the doctor reaches by HTTP: the receiver's public address, BlueKing, the Web UI.

Plain requests of this process, by the way that plugins go out: whatever answers is there.
"""

import asyncio
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from activities.blueking.config import BlueKingSettings
from activities.shelf import Shelf
from workers.doctor.findings import Check, Finding, failure, skipped, warning, well
from workers.settings import Settings

_TABLE: Final = "blueking"
_CALLBACK_WHY: Final = "outside systems answer nodes that wait at this address"
_BLUEKING_WHY: Final = "the BlueKing plugins call it; without it their nodes fail"
_UI_WHY: Final = "links to runs lead there"
_OK: Final = 200
_SECURE_PORT: Final = 443
_PLAIN_PORT: Final = 80
_CONNECT_S: Final = 5.0


class Answered(NamedTuple):
    """What came of a request: its status, or why there was no answer (`problem` not empty)."""

    status: int = 0
    problem: str = ""


async def ask(settings: Settings, url: str) -> Answered:
    """Ask an address with a GET, where the settings let requests go."""
    from activities.http_client import fault_of
    from workers.worker import http_client

    quiet = settings.model_copy(update={"traces": False})
    async with http_client(quiet) as http:
        try:
            return Answered((await http.get(url, timeout=_CONNECT_S)).status_code)
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            return Answered(problem=fault.what)


async def look_at_callbacks(settings: Settings) -> list[Finding]:
    """Look whether the receiver answers at its public address."""
    if not settings.callback_url:
        return [skipped("callbacks", "no address is set (STDOPS_CALLBACK_URL): none is handed out")]
    url = f"{settings.callback_url}/healthz"
    answer = await ask(settings, url)
    if answer.status == _OK:
        return [well("callbacks", "the receiver answers", url)]
    what = answer.problem or f"answered {answer.status}, and not as our receiver does"
    fix = "start `stdops receiver`, and let the proxy in front pass POST /callback/ and /healthz"
    return [warning("callbacks", what, _CALLBACK_WHY, fix, url)]


async def look_at_blueking(settings: Settings) -> list[Finding]:
    """Look whether the platform answers, and whether there is something to call it with."""
    if _TABLE not in settings.plugins:
        return [skipped("blueking", "no platform is set ([plugins.blueking])")]
    table = Shelf(settings.plugins).settings(_TABLE, BlueKingSettings)
    addresses = [url for url in (table.esb_url, *table.entries.values()) if url]
    found = [await _reached(settings, url) for url in dict.fromkeys(addresses)]
    return [*found, _credentials(table)]


async def _reached(settings: Settings, url: str) -> Finding:
    answer = await ask(settings, url)
    if answer.problem:
        fix = "correct the address, open the way to it, or allow it by STDOPS_HTTP_ALLOW"
        return failure("blueking", answer.problem, _BLUEKING_WHY, fix, url)
    return well("blueking", f"answers ({answer.status})", url)


def _credentials(table: BlueKingSettings) -> Finding:
    if table.access_token.get_secret_value() or (
        table.app_code and table.app_secret.get_secret_value()
    ):
        return well("blueking", f"calls as application {table.app_code!r}")
    fix = "set app_code and app_secret in [plugins.blueking], or access_token"
    return failure("blueking", "there are no credentials", _BLUEKING_WHY, fix)


async def look_at_ui(settings: Settings) -> list[Finding]:
    """Look whether the Web UI's address can be connected to; nothing of ours depends on it."""
    url = urlsplit(settings.ui_url)
    port = url.port or (_SECURE_PORT if url.scheme == "https" else _PLAIN_PORT)
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(url.hostname, port)
        writer.close()
    except (OSError, TimeoutError) as error:
        what = f"nothing answers: {error or type(error).__name__}"
        fix = "set STDOPS_UI_URL to the address that people open"
        return [warning("web ui", what, _UI_WHY, fix, settings.ui_url)]
    return [well("web ui", "answers", settings.ui_url)]


OUTSIDE: Final = (
    Check("callbacks", _CALLBACK_WHY, look_at_callbacks),
    Check("blueking", _BLUEKING_WHY, look_at_blueking),
    Check("web ui", _UI_WHY, look_at_ui),
)
"""The checks of what is reached by HTTP, in order."""
