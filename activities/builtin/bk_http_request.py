"""`bk_http_request`: asks any HTTP address, and judges its answer.

Source: bk-sops http plugin, legacy and v1.0; differs: certificates are checked, an answer of "too
many" or "come back later" is tried again, and a lost answer to a request that changes something is
"outcome unknown".
"""

import json
from typing import Any, Final

import httpx
from pydantic import ConfigDict, Field, JsonValue, field_validator

from activities.http_client import retry_after_s
from activities.sdk import Call, Inputs, Outputs, PluginError, plugin
from translator.values import RuleError, RuleSyntaxError, test_text

MAX_TIMEOUT_S: Final = 60
LEGACY_TIMEOUT_S: Final = 30

_WORD: Final = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
"""What HTTP calls a token: the names of methods and headers."""

_ONLY_READING: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})
_SHOWN_BODY: Final = 500


class Header(Inputs):
    """A row of the table of headers."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(default="", pattern=rf"^\s*({_WORD})?\s*$")
    value: str = Field(default="", pattern=r"^[^\r\n\x00]*$")


class LegacyInputs(Inputs):
    """The request."""

    model_config = ConfigDict(extra="ignore")

    method: str = Field(
        default="GET",
        alias="bk_http_request_method",
        pattern=rf"^{_WORD}$",
        description="GET, POST, PUT, ...",
    )
    url: str = Field(
        alias="bk_http_request_url", min_length=1, description="Address, with http:// or https://"
    )
    body: str = Field(
        default="", alias="bk_http_request_body", description="Body, for methods that have one"
    )

    @field_validator("method", mode="before")
    @classmethod
    def _in_capitals(cls, method: Any) -> Any:  # Any: JSON enters here
        return (method.strip().upper() or "GET") if isinstance(method, str) else method

    @field_validator("url")
    @classmethod
    def _stripped(cls, url: str) -> str:
        return url.strip()

    @field_validator("body", mode="before")
    @classmethod
    def _as_text(cls, body: Any) -> Any:  # Any: JSON enters here
        """A variable may put an object where the form has text."""
        return json.dumps(body, ensure_ascii=False) if isinstance(body, dict | list) else body


class HttpInputs(LegacyInputs):
    """The request, and what makes its answer a success."""

    headers: list[Header] = Field(
        default_factory=list[Header],
        alias="bk_http_request_header",
        description="Headers, rows of `name` and `value`",
    )
    timeout_s: int = Field(
        default=5, alias="bk_http_timeout", description="Seconds to wait, at most 60; 0 is 60"
    )
    success_rule: str = Field(
        default="",
        alias="bk_http_success_exp",
        description="Condition over `resp`, the answer's JSON, such as `resp.code == 0`",
    )


class HttpOutputs(Outputs):
    """The answer: its JSON and its status."""

    data: JsonValue = Field(default=None, description="The answer's JSON")
    status_code: int = Field(description="Its status")


@plugin("bk_http_request", name="HTTP request", group="Core", timeout_s=300)
async def http_request_legacy(call: Call[LegacyInputs]) -> HttpOutputs:
    """Send a request; a JSON answer with a status of 2xx is a success."""
    response = await _send(call, call.inputs, LEGACY_TIMEOUT_S, {})
    answer = _answer(response)
    if not response.is_success:
        raise PluginError(_bad_status(response))
    return answer


@http_request_legacy.repeatable
def _(inputs: LegacyInputs) -> bool:
    return inputs.method in _ONLY_READING


@plugin("bk_http_request", version="v1.0", name="HTTP request", group="Core", timeout_s=300)
async def http_request(call: Call[HttpInputs]) -> HttpOutputs:
    """Send a request; a JSON answer with a status of 2xx is a success if the rule holds, if any."""
    given = call.inputs
    rows = [(row.name.strip().lower(), row.value) for row in given.headers]
    headers = {name: value.encode() for name, value in rows if name}
    response = await _send(call, given, limit_s(given.timeout_s), headers)
    answer = _answer(response)
    if not response.is_success:
        raise PluginError(_bad_status(response), outputs=answer)
    if given.success_rule.strip() and not _holds(given.success_rule, answer):
        raise PluginError(
            f"the answer is no success by the rule {given.success_rule!r}: {_shown(response)}",
            outputs=answer,
        )
    return answer


@http_request.repeatable
def _(inputs: HttpInputs) -> bool:
    return inputs.method in _ONLY_READING


def limit_s(timeout_s: int) -> int:
    """Return the limit of a request in seconds: at most 60, and 60 for 0."""
    return min(abs(timeout_s), MAX_TIMEOUT_S) or MAX_TIMEOUT_S


async def _send(
    call: Call[Any], given: LegacyInputs, timeout_s: int, headers: dict[str, bytes]
) -> httpx.Response:
    """Send the request.

    Raises:
        PluginError: when the other side has surely not taken it.
    """
    has_body = given.method not in _WITHOUT_BODY
    typed = {"content-type": b"application/json", **headers}
    response = await call.http.request(
        given.method,
        given.url,
        headers=[(k.encode(), v) for k, v in (typed if has_body else headers).items()],
        content=given.body.encode() if has_body else None,
        timeout=timeout_s,
        follow_redirects=True,
    )
    after_s = retry_after_s(response)
    if after_s is not None:
        raise PluginError(_bad_status(response), retryable=True, after_s=after_s)
    return response


def _answer(response: httpx.Response) -> HttpOutputs:
    try:
        return HttpOutputs(data=response.json(), status_code=response.status_code)
    except ValueError as error:
        raise PluginError(
            f"the answer is not JSON (status {response.status_code}): {_shown(response)}"
        ) from error


def _holds(rule: str, answer: HttpOutputs) -> bool:
    try:
        return test_text(rule, {"resp": answer.data})
    except (RuleSyntaxError, RuleError) as error:
        raise PluginError(
            f"the success rule {rule!r} cannot be judged: {error}", outputs=answer
        ) from error


def _bad_status(response: httpx.Response) -> str:
    return f"the request failed with status {response.status_code}: {_shown(response)}"


def _shown(response: httpx.Response) -> str:
    text = response.text
    return text if len(text) <= _SHOWN_BODY else f"{text[:_SHOWN_BODY]}…"
