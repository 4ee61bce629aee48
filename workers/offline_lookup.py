"""A lazy variable computed by its real plugin where that needs no network."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue

if TYPE_CHECKING:
    import httpx

    from activities.registry import Registry


async def computed(registry: "Registry | None", code: str, value: JsonValue) -> JsonValue:
    """Compute a lazy variable with the real plugin, which finds no network here."""
    import httpx

    from activities.expressions import EvaluationError
    from activities.http_client import create_client
    from activities.sdk import Lookup

    found = registry.lazy(code) if registry else None
    fix = f"mock it: {{{code!r}: [{{'outputs': {{'value': ...}}}}]}}"
    if found is None:
        raise EvaluationError(f"no plugin computes variables of type {code!r}; {fix}")
    async with create_client(transport=httpx.MockTransport(_no_network)) as http:
        lookup = Lookup(
            value=value,
            context={"operator": "simulate"},
            http=http,
            now=lambda: datetime.now(UTC),
            place={"run": "simulate"},
        )
        try:
            return await found.look_up(lookup)
        except Exception as error:
            # another package's code may raise anything; here it mostly misses its network
            raise EvaluationError(f"variable of type {code!r}: {error}; {fix}") from error


def _no_network(request: "httpx.Request") -> "httpx.Response":
    import httpx

    raise httpx.ConnectError("a simulation asks nobody", request=request)
