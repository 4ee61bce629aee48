"""`bk_log_search`: lines of logs that BK-LOG has collected.

Source: BK-LOG's API document `esquery_search`. It only reads, so it may be repeated.
"""

from typing import Final, Literal

from pydantic import Field, JsonValue

from activities.blueking.catalogue import SETTINGS, blueking
from activities.blueking.client import Json, as_object, as_rows
from activities.blueking.config import BlueKingSettings
from activities.calls import Call, Inputs, Outputs
from activities.sdk import plugin

MOST: Final = 1000

Range = Literal["15m", "30m", "1h", "4h", "12h", "1d", "customized"]


class SearchInputs(Inputs):
    """Where is searched, for what, and when it was written."""

    indices: str = Field(min_length=1, description="The index, such as `2_bklog.app`")
    query_string: str = Field(default="*", description="The search, as BK-LOG's page has it")
    scenario_id: Literal["log", "es"] = Field(default="log", description="Who has collected it")
    storage_cluster_id: int | None = Field(default=None, description="Id of the storage cluster")
    time_range: Range = Field(default="15m", description="How far back, or `customized`")
    start_time: str = Field(default="", description="With `customized`: `YYYY-MM-DD HH:MM:SS`")
    end_time: str = Field(default="", description="With `customized`: `YYYY-MM-DD HH:MM:SS`")
    time_field: str = Field(default="dtEventTimeStamp", description="The field with the time")
    size: int = Field(default=10, ge=0, le=MOST, description="Most lines that are returned")


class SearchOutputs(Outputs):
    """What was found."""

    total: int = Field(description="How many lines fit")
    logs: list[JsonValue] = Field(description="The lines, each with its fields")


@plugin(
    "bk_log_search",
    version="v1.0",
    name="Search BK-LOG",
    group="BK-LOG",
    idempotent=True,
    settings={SETTINGS: BlueKingSettings},
)
async def bk_log_search(call: Call[SearchInputs]) -> SearchOutputs:
    """Search the logs that BK-LOG has collected."""
    params: Json = call.inputs.model_dump(exclude_none=True)
    if call.inputs.time_range != "customized":
        params = {key: params[key] for key in params if key not in ("start_time", "end_time")}
    params |= {"use_time_range": True, "start": 0}
    found = await blueking(call).object("bk_log.esquery_search", params)
    hits = as_object(found.get("hits"))
    lines = [row.get("_source") for row in as_rows(hits.get("hits"))]
    return SearchOutputs(total=_total(hits.get("total")), logs=lines)


def _total(given: JsonValue) -> int:
    """Return how many lines fit; newer servers wrap the number."""
    number = given.get("value") if isinstance(given, dict) else given
    return number if isinstance(number, int) else 0
