"""`remote_plugin`: calls a plugin that is a service of its own, made with bk-plugin-framework.

The inputs of that plugin stand flat beside its code and version. Its work goes on at the service
and is looked at by its trace id; that the service tells of the end is a hint to look at once. The
protocol knows no way to stop an execution, and none to start the same one twice.

Source: bk-sops remote plugin 1.0.0; differs: a service that does not answer is looked at again for
a while, and a lost answer to the start is "outcome unknown".
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, assert_never

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from activities.remote import TABLE, Progress, Remote, RemoteSettings, State
from activities.remote.protocol import NO_REASON, context_for, interval_s, overdue_text
from activities.sdk import Call, Inputs, Outputs, PluginError, StillRunning, plugin

_NAME: Final = r"^\w[\w.-]*$"


class RemoteInputs(Inputs):
    """Which plugin, and its own inputs beside it."""

    model_config = ConfigDict(extra="allow")

    plugin_code: str = Field(pattern=_NAME, description="Code of the plugin")
    plugin_version: str = Field(pattern=_NAME, description="Its version, such as 1.0.0")

    def sent(self) -> dict[str, JsonValue]:
        """Return all inputs as the service gets them."""
        return {name: plain(value) for name, value in self.model_dump(mode="json").items()}


class RemoteOutputs(Outputs):
    """The trace id, and the plugin's own outputs beside it; one of the same name is not seen."""

    model_config = ConfigDict(extra="allow")

    trace_id: str = Field(description="Name of the execution at the service")
    log_url: JsonValue = Field(default=None, description="Its log, where the settings say where")


class Watch(BaseModel):
    """The handle: what to look at, since when, and since when in vain; look 0 is the invoke."""

    model_config = ConfigDict(frozen=True)

    trace_id: str
    since: datetime
    look: int = 0
    lost_since: datetime | None = None

    def seen(self, **changes: object) -> JsonValue:
        """Return what the next look gets."""
        found = self.model_copy(update={"look": self.look + 1, **changes})
        return found.model_dump(mode="json", exclude_defaults=True)


@plugin(
    "remote_plugin",
    version="1.0.0",
    name="Remote plugin",
    group="第三方插件",
    timeout_s=660,
    settings={TABLE: RemoteSettings},
)
async def remote_plugin(call: Call[RemoteInputs]) -> RemoteOutputs:
    """Call a plugin that is a service of its own, and look at it until its work has ended.

    Its outputs become the node's. The work cannot be stopped from here.
    """
    given = call.inputs
    remote = await Remote.find(call, given.plugin_code, given.plugin_version)
    detail = await remote.detail()
    hears = detail.enable_plugin_callback and call.can_be_called_back
    context = context_for(detail, dict(call.context), call.callback_url if hears else "")
    invoked = await remote.invoke(given.sent(), context)
    call.log.info("activities.remote_plugin_invoked", trace_id=invoked.trace_id)
    watch = Watch(trace_id=invoked.trace_id, since=call.now())
    return _judged(call, remote.settings, watch, invoked.progress)


@remote_plugin.poll
async def _(call: Call[RemoteInputs], handle: JsonValue) -> RemoteOutputs:
    return await _look(call, Watch.model_validate(handle))


@remote_plugin.callback
async def _(call: Call[RemoteInputs], data: JsonValue) -> RemoteOutputs:
    """Look at once; what was sent says nothing, the protocol's `data` is what we gave."""
    del data
    try:
        return await _look(call, Watch(trace_id=str(call.outputs["trace_id"]), since=call.now()))
    except StillRunning as going:
        # a callback knows no handle: the one at hand stays
        raise StillRunning(None, going.after_s, going.outputs) from None


def plain(value: JsonValue) -> JsonValue:
    """Return an input with bk-sops's objects around passwords taken off, as services know none."""
    match value:
        case {"type": "password_value", "value": str(text), **more} if not more:
            return text
        case {"tag": str(), "value": str(text), **more} if not more:
            return text
        case dict():
            return {name: plain(field) for name, field in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


async def _look(call: Call[RemoteInputs], watch: Watch) -> RemoteOutputs:
    """Ask how far the work is; a service that does not answer is asked again, for a while."""
    settings, given = call.shelf.settings(TABLE, RemoteSettings), call.inputs
    try:
        remote = await Remote.find(call, given.plugin_code, given.plugin_version)
        progress = await remote.look(watch.trace_id)
    except PluginError as error:
        if not error.retryable:
            raise
        raise _unanswered(call, settings, watch, error) from error
    return _judged(call, settings, watch, progress)


def _judged(
    call: Call[RemoteInputs], settings: RemoteSettings, watch: Watch, progress: Progress
) -> RemoteOutputs:
    """End the node, or have it looked at again."""
    log_url = settings.log_of(call.inputs.plugin_code, watch.trace_id)
    known: dict[str, JsonValue] = {"log_url": log_url} if log_url else {}
    outputs = {**known, **(progress.outputs or {}), "trace_id": watch.trace_id}
    _note(call, watch)
    match progress.state:
        case State.SUCCESS:
            return RemoteOutputs.model_validate(outputs)
        case State.FAIL:
            reason = progress.err or NO_REASON
            raise PluginError(f"{reason} (log: {log_url})" if log_url else reason, outputs=outputs)
        case State.EMPTY | State.POLL | State.CALLBACK:
            _check_age(call, settings, watch, outputs)
            _note(call, watch, "cannot be stopped from here")
            raise StillRunning(
                watch.seen(lost_since=None), _pause_s(call, settings, watch), outputs
            )
        case _:
            assert_never(progress.state)


def _unanswered(
    call: Call[RemoteInputs], settings: RemoteSettings, watch: Watch, error: PluginError
) -> Exception:
    """Return what to raise where a look was in vain: another look, or the end of the waiting."""
    lost_since = watch.lost_since or call.now()
    lost_s = (call.now() - lost_since).total_seconds()
    if lost_s >= settings.unreachable_s:
        return PluginError(
            f"{error.what}; no answer for {lost_s:.0f} s: the work may go on all the same, look at "
            "its log before you retry, which starts it anew"
        )
    _note(call, watch, f"no answer since {lost_since:%H:%M:%S} UTC")
    after_s = max(_pause_s(call, settings, watch), error.after_s or 0)
    return StillRunning(watch.seen(lost_since=lost_since), after_s)


def _check_age(
    call: Call[RemoteInputs],
    settings: RemoteSettings,
    watch: Watch,
    outputs: Mapping[str, JsonValue],
) -> None:
    """Fail a node that waits longer than the workers allow; a run is at least as old as it."""
    days = settings.max_days
    if days and call.now() - watch.since > timedelta(days=days):
        raise PluginError(overdue_text(days), outputs=outputs)


def _pause_s(call: Call[RemoteInputs], settings: RemoteSettings, watch: Watch) -> float:
    fixed_s = settings.fixed_interval_s.get(call.inputs.plugin_code)
    return fixed_s or interval_s(watch.look + 1)


def _note(call: Call[RemoteInputs], watch: Watch, more: str = "") -> None:
    given = call.inputs
    parts = (f"{given.plugin_code} {given.plugin_version}", f"trace {watch.trace_id}", more)
    call.note(", ".join(part for part in parts if part))
