"""`http_wait`: asks an address again and again, until its answer fulfils a condition."""

from typing import Final, Literal

import httpx
from pydantic import BaseModel, Field, JsonValue, field_validator

from activities.builtin.http_request import (
    HttpAnswer,
    RequestInputs,
    answer_of,
    as_json,
    judged,
    parsed_condition,
    read_statuses,
    send,
    shown,
)
from activities.http_client import fault_of
from activities.sdk import Call, PluginError, StillRunning, plugin

LONGEST_WAIT_S: Final = 30 * 24 * 3600
DEFAULT_EXPECT: Final = "2xx"


class HttpWaitInputs(RequestInputs):
    """What is asked, what is waited for, and for how long."""

    method: Literal["GET", "HEAD", "POST"] = Field(
        default="GET", description="It is sent many times: it must only read"
    )
    json_body: JsonValue = Field(
        default=None, alias="json", description="Body of a POST as JSON: a value, or its JSON text"
    )
    until: str = Field(
        default="",
        description="Condition over `status`, `headers`, `json` and `text`, such as "
        '`json.state == "done"`; empty waits for a status of 2xx',
    )
    fail_if: str = Field(
        default="",
        description='Condition that ends the waiting at once, such as `json.state == "failed"`',
    )
    every_s: float = Field(default=10, ge=1, le=3600, description="Seconds between two looks")
    at_most_s: float = Field(
        default=3600, gt=0, le=LONGEST_WAIT_S, description="Seconds until the node fails"
    )
    tolerate_errors: bool = Field(
        default=True,
        description="A refused connection or a status of 4xx or 5xx is no failure, only not yet",
    )

    @field_validator("json_body")
    @classmethod
    def _read(cls, body: JsonValue) -> JsonValue:
        return as_json(body)

    @field_validator("until", "fail_if")
    @classmethod
    def _sound_condition(cls, condition: str) -> str:
        return parsed_condition(condition)


class _Watch(BaseModel):
    """The handle: when to give up, in seconds since the epoch, and how often it has looked."""

    until: float
    looks: int = 0


@plugin("http_wait", version="v1.0", name="Wait for HTTP", group="Core", idempotent=True)
async def http_wait(call: Call[HttpWaitInputs]) -> HttpAnswer:
    """Ask an address until its answer fulfils a condition, at most for a time.

    Between two looks nothing is held on the worker. A condition that asks for what is not in the
    answer (yet) does not hold.
    """
    until = call.now().timestamp() + call.inputs.at_most_s
    return await _look(call, _Watch(until=until))


@http_wait.poll
async def _(call: Call[HttpWaitInputs], handle: JsonValue) -> HttpAnswer:
    return await _look(call, _Watch.model_validate(handle))


async def _look(call: Call[HttpWaitInputs], watch: _Watch) -> HttpAnswer:
    given = call.inputs
    try:
        response = await send(call, given.method, {"json": given.json_body})
    except httpx.HTTPError as error:
        fault = fault_of(error)
        if fault is None or not given.tolerate_errors:
            raise
        raise _not_yet(call, watch, fault.what, fault.what) from error
    seen, answer = shown(response), answer_of(response, given.max_answer_bytes)
    if given.fail_if and _holds(given.fail_if, answer):
        raise PluginError(f"{given.fail_if!r} holds: {seen}", outputs=answer)
    if _is_reached(given, answer):
        return answer
    if response.is_error and not given.tolerate_errors:
        raise PluginError(f"the other side answered {seen}", outputs=answer)
    # the note tells the status alone: everybody sees it, and the answer may be confidential
    raise _not_yet(call, watch, seen, f"{response.status_code} {response.reason_phrase}")


def _not_yet(call: Call[HttpWaitInputs], watch: _Watch, seen: str, brief: str) -> Exception:
    """Return what to raise: another look, or the end of the waiting."""
    given, left_s = call.inputs, watch.until - call.now().timestamp()
    looks = watch.looks + 1
    if left_s <= 0:
        waited_for = given.until or f"a status of {DEFAULT_EXPECT}"
        return PluginError(
            f"waited {given.at_most_s:g} s for {waited_for}, in vain; look {looks} saw {seen}"
        )
    call.note(f"look {looks}: {brief}")
    return StillRunning({"until": watch.until, "looks": looks}, min(given.every_s, left_s))


def _is_reached(given: HttpWaitInputs, answer: HttpAnswer) -> bool:
    if given.until:
        return _holds(given.until, answer)
    return answer.status in read_statuses(DEFAULT_EXPECT)


def _holds(condition: str, answer: HttpAnswer) -> bool:
    """Return whether a condition holds; one that asks for what is not there does not."""
    try:
        return judged(condition, answer)
    except PluginError:
        return False
