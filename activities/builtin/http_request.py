"""`http_request`: one HTTP request with everything that one may want of it.

Idempotent by the method: GET, HEAD, OPTIONS, TRACE, PUT and DELETE are sent again when their answer
is lost or tells of a breakdown, others only if the node says that the other side can take them
twice. Certificates are always checked: by which authorities is the workers' business.
"""

import base64
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar, cast

import httpx
from pydantic import Field, JsonValue, field_validator, model_validator

from activities.http_client import retry_after_s
from activities.sdk import Call, Inputs, Outputs, PluginError, Secret, plugin
from translator.values import RuleError, RuleSyntaxError, test_text

MAX_TIMEOUT_S: Final = 300
MAX_ANSWER_BYTES: Final = 1_000_000

_WORD: Final = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
"""What HTTP calls a token: the names of methods and headers."""

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_GATEWAY_FAULTS: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
_STATUSES: Final = re.compile(r"([1-5])xx|([1-5]\d\d)(?:-([1-5]\d\d))?", re.IGNORECASE)
_SHOWN_CHARS: Final = 300


class RequestInputs(Inputs):
    """What every request has, whatever is done with its answer."""

    url: str = Field(min_length=1, description="Address, with http:// or https://")
    query: dict[str, str | list[str]] = Field(
        default_factory=dict, description="Parameters that are added to the address, by name"
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers by name, or rows of `name` and `value`"
    )
    user: str = Field(default="", description="User of basic authentication")
    password: Secret | None = Field(
        default=None, description="Password of basic authentication; give a password variable"
    )
    token: Secret | None = Field(
        default=None, description="Bearer token, in place of user and password"
    )
    timeout_s: float = Field(
        default=30, gt=0, le=MAX_TIMEOUT_S, description="Seconds to wait for the other side"
    )
    follow_redirects: bool = Field(default=True, description="Go on where the answer sends us")
    max_answer_bytes: int = Field(
        default=256 * 1024,
        ge=0,
        le=MAX_ANSWER_BYTES,
        description="How much of the answer becomes outputs; what is longer is cut",
    )

    @field_validator("headers", mode="before")
    @classmethod
    def _from_rows(cls, headers: Any) -> Any:  # Any: JSON enters here
        if not isinstance(headers, list):
            return headers
        return _rows_as_object(cast("list[object]", headers))

    @field_validator("headers")
    @classmethod
    def _sound_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(_WORD, name) or re.search(r"[\r\n\x00]", value):
                raise ValueError(f"header {name!r} is not a name and a value of one line")
        return headers

    @model_validator(mode="after")
    def _one_authentication(self) -> Self:
        if self.token is not None and (self.user or self.password is not None):
            raise ValueError("give a token, or a user and a password, not both")
        return self

    def sent_headers(self) -> dict[str, str]:
        """Return the headers, with the one that says who we are."""
        named = {name.lower(): value for name, value in self.headers.items()}
        if self.token is not None:
            return {"authorization": f"Bearer {self.token.get_secret_value()}", **named}
        if self.user or self.password is not None:
            password = self.password.get_secret_value() if self.password else ""
            known = base64.b64encode(f"{self.user}:{password}".encode()).decode()
            return {"authorization": f"Basic {known}", **named}
        return named


class HttpRequestInputs(RequestInputs):
    """The request, and what makes its answer a success."""

    method: str = Field(default="GET", pattern=rf"^{_WORD}$", description="GET, POST, PUT, ...")
    json_body: JsonValue = Field(
        default=None, alias="json", description="Body as JSON: a value, or its JSON text"
    )
    form: dict[str, str | list[str]] = Field(
        default_factory=dict, description="Body as the fields of a form, in place of JSON"
    )
    text: str = Field(default="", description="Body as it is, in place of JSON or a form")
    content_type: str = Field(
        default="text/plain; charset=utf-8",
        pattern=r"^[^\r\n\x00]+$",
        description="What kind of text the body `text` is",
    )
    expect: str = Field(
        default="2xx", description="Statuses that are a success, such as `2xx, 404` or `200-204`"
    )
    success_if: str = Field(
        default="",
        description="Condition for a success over `status`, `headers`, `json` and `text`, such as "
        "`json.code == 0 and status == 200`; a header is named as `headers.x_request_id`",
    )
    repeatable: bool = Field(
        default=False,
        description="The other side can take this request twice, although its method does not say "
        "so; it then gets an Idempotency-Key",
    )

    @field_validator("method", mode="before")
    @classmethod
    def _in_capitals(cls, method: Any) -> Any:  # Any: JSON enters here
        return method.strip().upper() if isinstance(method, str) else method

    @field_validator("json_body")
    @classmethod
    def _read(cls, body: JsonValue) -> JsonValue:
        """A form's field holds text; text for the other side is written as JSON text."""
        return as_json(body)

    @field_validator("expect", mode="before")
    @classmethod
    def _as_text(cls, expect: Any) -> Any:  # Any: JSON enters here
        items = cast("list[object]", expect) if isinstance(expect, list) else [expect]
        return ", ".join(map(str, items))

    @field_validator("expect")
    @classmethod
    def _sound_statuses(cls, expect: str) -> str:
        read_statuses(expect)
        return expect

    @field_validator("success_if")
    @classmethod
    def _sound_condition(cls, condition: str) -> str:
        return parsed_condition(condition)

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if sum([self.json_body is not None, bool(self.form), bool(self.text)]) > 1:
            raise ValueError("give one of json, form and text")
        return self

    @property
    def may_repeat(self) -> bool:
        """Whether the other side can take it twice."""
        return self.repeatable or self.method in _IDEMPOTENT


class HttpAnswer(Outputs):
    """The answer of the other side."""

    status: int = Field(description="Status, such as 200")
    headers: dict[str, str] = Field(description="Headers, by their names in small letters")
    json_body: JsonValue = Field(
        default=None, serialization_alias="json", description="The answer, where it is JSON"
    )
    text: str = Field(description="The answer as text")
    truncated: bool = Field(
        default=False, description="It was longer than `max_answer_bytes`: `text` is its begin"
    )


@plugin("http_request", version="v1.0", name="HTTP request", group="Core", timeout_s=600)
async def http_request(call: Call[HttpRequestInputs]) -> HttpAnswer:
    """Send an HTTP request and judge its answer by its status and a condition.

    An answer of "too many requests" or "come back later" is tried again. An answer that is lost
    after the request went out is tried again where the request may be repeated, else the node fails
    with "outcome unknown".
    """
    given = call.inputs
    response = await send(call, given.method, _body_of(call))
    answer = answer_of(response, given.max_answer_bytes)
    if response.status_code not in read_statuses(given.expect):
        raise unexpected(response, answer, may_repeat=given.may_repeat)
    if given.success_if and not judged(given.success_if, answer):
        raise PluginError(
            f"the answer is no success by {given.success_if!r}: {shown(response)}", outputs=answer
        )
    return answer


@http_request.repeatable
def _(inputs: HttpRequestInputs) -> bool:
    return inputs.may_repeat


RequestT = TypeVar("RequestT", bound=RequestInputs)


async def send(call: Call[RequestT], method: str, body: Mapping[str, Any]) -> httpx.Response:
    """Send a request of `call`; `body` holds what httpx calls it by, and more headers."""
    given = call.inputs
    headers = {**body.get("headers", {}), **given.sent_headers()}
    return await call.http.request(
        method,
        httpx.URL(given.url.strip()).copy_merge_params(given.query),
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        json=body.get("json"),
        data=body.get("data"),
        content=body.get("content"),
        timeout=given.timeout_s,
        follow_redirects=given.follow_redirects,
    )


def answer_of(response: httpx.Response, max_bytes: int) -> HttpAnswer:
    """Return an answer as outputs, at most `max_bytes` of its body."""
    truncated = len(response.content) > max_bytes
    text = response.text
    return HttpAnswer(
        status=response.status_code,
        headers=dict(response.headers.items()),
        json_body=None if truncated else _json_of(response),
        text=text.encode()[:max_bytes].decode("utf-8", "ignore") if truncated else text,
        truncated=truncated,
    )


def judged(condition: str, answer: HttpAnswer) -> bool:
    """Return whether an answer fulfils a condition.

    Raises:
        PluginError: the condition asks for what is not in the answer.
    """
    headers: dict[str, JsonValue] = {
        name.replace("-", "_"): value for name, value in answer.headers.items()
    }
    context: dict[str, JsonValue] = {
        "status": answer.status,
        "headers": headers,
        "json": answer.json_body,
        "text": answer.text,
    }
    try:
        return test_text(condition, context)
    except (RuleError, RuleSyntaxError) as error:
        raise PluginError(f"{condition!r} cannot be judged: {error}", outputs=answer) from error


def parsed_condition(condition: str) -> str:
    """Return a condition as it is, if it parses.

    Raises:
        ValueError: it does not.
    """
    try:
        test_text(condition or "1 == 1", {"status": 0})
    except RuleSyntaxError as error:
        raise ValueError(f"{condition!r} is no condition: {error}") from None
    except RuleError:
        return condition  # it only lacks the answer
    return condition


def read_statuses(text: str) -> frozenset[int]:
    """Return the statuses in a text such as `2xx, 404` or `200-204`.

    Raises:
        ValueError: it holds something else.
    """
    found: set[int] = set()
    for part in re.split(r"[\s,]+", text.strip()):
        match = _STATUSES.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is no status; write them as `2xx, 404` or `200-204`")
        hundred, first, last = match.groups()
        low, high = (f"{hundred}00", f"{hundred}99") if hundred else (first, last or first)
        found.update(range(int(low), int(high) + 1))
    return frozenset(found)


def as_json(value: JsonValue) -> JsonValue:
    """Return the JSON that a text holds; anything but text is what it is.

    Raises:
        ValueError: it is no JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError('it is not JSON; a text is written as "\\"text\\""') from None


def unexpected(response: httpx.Response, answer: HttpAnswer, *, may_repeat: bool) -> Exception:
    """Return what a status means that is none of those expected, as an error to raise."""
    what = f"the request failed with status {shown(response)}"
    after_s = retry_after_s(response)
    if after_s is not None:
        return PluginError(what, retryable=True, after_s=after_s, outputs=answer)
    if response.status_code in _GATEWAY_FAULTS or (response.is_server_error and may_repeat):
        # what it means is decided where lost answers are: sent again, or nobody knows
        return httpx.HTTPStatusError(what, request=response.request, response=response)
    return PluginError(what, outputs=answer)


def shown(response: httpx.Response) -> str:
    """Return the status of an answer and its begin, for people."""
    text = " ".join(response.text[: 2 * _SHOWN_CHARS].split())
    body = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
    return f"{response.status_code} {response.reason_phrase}: {body}".rstrip(": ")


def _body_of(call: Call[HttpRequestInputs]) -> dict[str, Any]:
    """Return the body as httpx wants it."""
    given = call.inputs
    key = {"idempotency-key": call.key} if given.repeatable else {}
    if given.json_body is not None:
        return {"json": given.json_body, "headers": key}
    if given.form:
        return {"data": given.form, "headers": key}
    if given.text:
        typed = {"content-type": given.content_type}
        return {"content": given.text.encode(), "headers": {**typed, **key}}
    return {"headers": key}


def _json_of(response: httpx.Response) -> JsonValue:
    try:
        return response.json()
    except ValueError:
        return None


def _rows_as_object(rows: list[object]) -> dict[str, Any]:
    """A form's table gives rows; one without a name is an empty line of it."""
    found: dict[str, Any] = {}
    for row in rows:
        if not isinstance(row, dict):
            raise ValueError("a row is no object with `name` and `value`")  # noqa: TRY004  pydantic's
        named = cast("dict[str, Any]", row)
        if name := str(named.get("name") or "").strip():
            found[name] = named.get("value", "")
    return found
