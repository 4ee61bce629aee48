"""What a plugin service answers, and the words for what goes wrong; pure.

Source: bk-plugin-framework's API, and bk-sops's client of it for the texts.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue

NO_REASON: Final = "请通过第三方节点日志查看任务失败原因"
"""What a failure without a reason of its own says: look at the node's log."""


CALLBACK_INFO: Final = "plugin_callback_info"
"""What a version asks for that tells the end of an execution."""


class State(IntEnum):
    """Where an execution stands; the service shows `EMPTY` to nobody."""

    EMPTY = 1
    POLL = 2
    CALLBACK = 3
    SUCCESS = 4
    FAIL = 5


class Answer(BaseModel):
    """Base of what is read of an answer: services may say more than we need."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Envelope(Answer):
    """What is around everything that a service answers; `result` decides."""

    result: bool
    data: JsonValue = None
    message: JsonValue = ""
    trace_id: str | None = None


class Schema(Answer):
    """A JSON Schema of an object, as far as it is read; fields by name."""

    properties: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    required: tuple[str, ...] = ()


class Detail(Answer):
    """What a version of a plugin says of itself."""

    enable_plugin_callback: bool = False
    inputs: Schema = Schema()
    context_inputs: Schema = Schema()


class Progress(Answer):
    """How far an execution is."""

    state: State
    outputs: dict[str, JsonValue] | None = None
    err: str | None = None


class Address(Answer):
    """One of the addresses of a deployment; `type` tells what for."""

    type: int
    address: str


class Deployment(Answer):
    """A plugin's application in one stage."""

    deployed: bool = False
    addresses: tuple[Address, ...] = ()


class Profile(Answer):
    """What the platform keeps of a plugin; a gateway without a name has the plugin's."""

    api_gw_name: str | None = None


class Listing(Answer):
    """A plugin as PaaS v3 lists it; deployments by stage."""

    profile: Profile = Profile()
    deployed_statuses: dict[str, Deployment] = Field(default_factory=dict)


class Phase(NamedTuple):
    """One kind of request, by the words for its failure."""

    before: str

    def failed(self, what: str, trace_id: str = "") -> str:
        """Return the text of a failure."""
        return f"{self.before}{what}, trace_id: {trace_id}" if trace_id else f"{self.before}{what}"


RESOLVE: Final = Phase("第三方插件client初始化失败, 错误内容: ")
DETAIL: Final = Phase("获取第三方插件详情失败, 错误内容: ")
INVOKE: Final = Phase("调用第三方插件invoke接口错误, 错误内容: ")
SCHEDULE: Final = Phase("remote plugin service schedule error: ")


def interval_s(look: int) -> float:
    """Return how long to wait before the look of that number (from 1), in seconds.

    Source: bk-sops remote plugin's interval: steady at first, then ever slower.
    """
    steady, slower_from, slowest = 10.0, 30, 600.0
    return steady if look < slower_from else min(float((look - 25) ** 2), slowest)


def overdue_text(days: int) -> str:
    """Say that an execution took longer than the workers allow."""
    return f"第三方插件执行时间超过最大限制时长：{days} 天"


def context_for(
    detail: Detail, context: dict[str, JsonValue], callback_url: str
) -> dict[str, JsonValue]:
    """Return what a plugin asks to know of its run.

    Args:
        detail: what it asks for.
        context: what is known of the run.
        callback_url: where the end is to be told; "" where nobody listens.
    """
    wanted = detail.context_inputs
    found = {name: context[name] for name in wanted.properties if name in context}
    # a service that insists on an address gets an empty one where there is none: it then tells
    # nobody, and looking at it finds the end all the same
    if detail.enable_plugin_callback and (callback_url or CALLBACK_INFO in wanted.required):
        found[CALLBACK_INFO] = {"url": callback_url, "data": {}}
    return found
