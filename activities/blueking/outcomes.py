"""What an operator looks at when nobody knows whether the platform has done what was asked."""

from collections.abc import Generator
from contextlib import contextmanager

import httpx

from activities.blueking.client import lost
from activities.http_client import BodyTooLargeError


@contextmanager
def looked_up_at(where: str) -> Generator[None]:
    """Tell `where` to look when the answer to a write of the block is lost.

    Raises:
        OutcomeUnknown: it was lost.
    """
    try:
        yield
    except (httpx.HTTPError, BodyTooLargeError) as error:
        unknown = lost(error, where)
        if unknown is None:
            raise
        raise unknown from error
