"""What the newer node manager answers: its refusals, and lists that come in pages.

Source: plugins' reference, section 3.8; differs: lists are read to their last page.
"""

from typing import Final

from activities.blueking.client import DENIED, ApiError, BlueKing, Json, as_rows
from activities.blueking.outcomes import looked_up_at
from activities.calls import PluginError

MOST_PAGES: Final = 200


async def ask(bk: BlueKing, api: str, request: Json, doing: str = "操作失败", **path: str) -> Json:
    """Call an API of the node manager; a refusal says what we were doing.

    Raises:
        PluginError: the node manager refuses.
    """
    try:
        with looked_up_at("the history of the node manager"):
            return await bk.object(api, request, **path)
    except ApiError as error:
        told = error.what if error.code == DENIED else error.message
        raise PluginError(f"[节点管理器]{doing}: {told}") from error


async def pages(bk: BlueKing, api: str, request: Json, rows: str, size: int) -> list[Json]:
    """Return all rows of a list: `data.<rows>` of every page, in order."""
    found: list[Json] = []
    for at in range(0, size * MOST_PAGES, size):
        asked: Json = {**request, "page": {"offset": at, "limit": size}}
        page = as_rows((await ask(bk, api, asked)).get(rows))
        found += page
        if len(page) < size:
            break
    return found
