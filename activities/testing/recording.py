"""Answers of a real service, taken down once and given again from then on.

Where its file is missing, a `Recording` asks the real service and takes down what it answers; where
it is there, nothing leaves the machine. Delete the file to record anew. What is secret is masked
before it is written: the plugin's secret inputs, and fields and parameters with a telling name.

No library does this here. vcrpy patches httpcore for the whole process, asks for PyYAML files and
knows no plugin's secrets; respx and httpx's own mock transport only play what a test writes.
"""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, final
from urllib.parse import parse_qsl, urlencode

import httpx
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from activities.expressions.opening import Opening
from activities.expressions.secrets import Keys
from translator.values import MASK

_SECRET_NAME: Final = re.compile(
    r"passw|secret|token|credential|authori[sz]ation|cookie|api[-_]?key", re.IGNORECASE
)
_LEFT_OUT: Final = frozenset(
    {"connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"}
)
"""Headers of an answer that say nothing of it, or are not true of a stored one."""


class RecordingError(AssertionError):
    """A plugin has asked for what was not recorded: its test fails, whatever became of the node."""


class Asked(BaseModel):
    """A request, as far as it is compared; its headers may be secret and are not kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    url: str
    body: JsonValue = None


class Replied(BaseModel):
    """An answer; `body` is JSON where `is_json`, else text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int
    headers: dict[str, str] = {}
    is_json: bool = False
    body: JsonValue = None


class Exchange(BaseModel):
    """A request and its answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: Asked
    response: Replied


class Tape(BaseModel):
    """What stands in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exchanges: tuple[Exchange, ...]


class _Body(NamedTuple):
    value: JsonValue
    is_json: bool


@final
class Recording(httpx.AsyncBaseTransport):
    """The outside of a `Stage`: a real service's answers from a file.

    Args:
        file: the file, JSON; made when it is missing, but never where the variable CI is set.
        hide: names of further fields and parameters whose values are secret.
        network: what really sends; None is the network, without the limits of a worker.
    """

    def __init__(
        self,
        file: str | Path,
        *,
        hide: Iterable[str] = (),
        network: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.file: Final = Path(file)
        self.is_new: Final = not self.file.exists()
        self._hidden = frozenset(hide)
        self._network = network
        self._masker = Opening(Keys.fresh())
        self._left = [] if self.is_new else list(_read(self.file).exchanges)
        self._taken: list[Exchange] = []
        self._problem = ""
        if self.is_new and os.environ.get("CI"):
            raise RecordingError(f"there is no {self.file}; record it where CI is not set")

    def remember(self, secret: JsonValue) -> None:
        """Mask a secret wherever it stands; one of three characters or less is not looked for."""
        self._masker.remember(secret)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer from the file, or from the real service where there is none yet."""
        asked = await self._asked(request)
        if not self.is_new:
            return self._replayed(asked)
        if self._network is None:
            self._network = httpx.AsyncHTTPTransport()
        response = await self._network.handle_async_request(request)
        await response.aread()
        self._taken.append(Exchange(request=asked, response=self._answer(response)))
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        if self._network is not None:
            await self._network.aclose()

    def end(self) -> None:
        """Write what was recorded; a recording that is there stays as it is.

        Raises:
            RecordingError: something was asked that is not in it.
        """
        if self._problem:
            raise RecordingError(self._problem)
        if self.is_new:
            tape = Tape(exchanges=tuple(self._taken)).model_dump(mode="json", exclude_defaults=True)
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(tape, ensure_ascii=False, indent=2) + "\n", "utf-8")

    def _replayed(self, asked: Asked) -> httpx.Response:
        for number, exchange in enumerate(self._left):
            if exchange.request == asked:
                return _as_response(self._left.pop(number).response)
        following = self._left[0].request if self._left else None
        expected = _shown(following) if following else "nothing more"
        self._problem = (
            f"{self.file} has no answer to {_shown(asked)}; what is left in it begins with "
            f"{expected}: correct the plugin, or delete the file and record again"
        )
        raise RecordingError(self._problem)

    async def _asked(self, request: httpx.Request) -> Asked:
        url = str(request.url.copy_with(username=None, password=None, query=None))
        params = request.url.params.multi_items()
        query = [(name, MASK if self._is_secret(name) else value) for name, value in params]
        whole = f"{url}?{urlencode(query, safe='*')}" if query else url
        body = _body(await request.aread(), request.headers)
        masked = self._masker.mask(self._without_secrets(body.value))
        return Asked(method=request.method, url=self._masker.mask_text(whole), body=masked)

    def _answer(self, response: httpx.Response) -> Replied:
        body = _body(response.content, response.headers)
        masked = self._masker.mask(self._without_secrets(body.value))
        headers = {
            name: self._masker.mask_text(value)
            for name, value in response.headers.items()
            if name not in _LEFT_OUT and not self._is_secret(name)
        }
        status = response.status_code
        return Replied(status=status, headers=headers, is_json=body.is_json, body=masked)

    def _without_secrets(self, value: JsonValue) -> JsonValue:
        """Mask the texts under a telling name, and remember them: they come again elsewhere."""
        match value:
            case dict():
                return {name: self._field(name, field) for name, field in value.items()}
            case list():
                return [self._without_secrets(item) for item in value]
            case _:
                return value

    def _field(self, name: str, value: JsonValue) -> JsonValue:
        if isinstance(value, str) and value and self._is_secret(name):
            self._masker.remember(value)
            return MASK
        return self._without_secrets(value)

    def _is_secret(self, name: str) -> bool:
        return name in self._hidden or _SECRET_NAME.search(name) is not None


def _read(file: Path) -> Tape:
    try:
        return Tape.model_validate_json(file.read_bytes())
    except ValidationError as wrong:
        found = wrong.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, found["loc"])) or "the file"
        what = f"{file} is no recording: {place}: {found['msg'].lower()}"
        raise RecordingError(f"{what}; delete it and record again") from None


def _body(content: bytes, headers: httpx.Headers) -> _Body:
    """Read a body as JSON or as a form, else as text; none is None."""
    if not content:
        return _Body(None, is_json=False)
    text = content.decode("utf-8", "replace")
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        return _Body(dict(parse_qsl(text, keep_blank_values=True)), is_json=False)
    try:
        return _Body(json.loads(text), is_json=True)
    except (ValueError, RecursionError):
        return _Body(text, is_json=False)


def _as_response(answer: Replied) -> httpx.Response:
    text = json.dumps(answer.body, ensure_ascii=False) if answer.is_json else answer.body or ""
    return httpx.Response(answer.status, headers=answer.headers, content=str(text).encode())


def _shown(asked: Asked) -> str:
    body = f" {json.dumps(asked.body, ensure_ascii=False)}" if asked.body is not None else ""
    return f"{asked.method} {asked.url}{body}"
