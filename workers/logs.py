"""Logging: structlog, the Temporal SDK's and the standard library's loggers in one chain.

Text for people or one JSON object a line, to standard error; secrets are masked last of all, so
that nothing added on the way escapes.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Final, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK: Final = "***"

_SECRET_KEY: Final = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|authorization|cookie|api_?key|private_?key",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = (
    (re.compile(r"(://[^:/@\s]*:)[^@\s]+@"), rf"\1{MASK}@"),
    (re.compile(r"(/callback/)[\w-]{16,}"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {MASK}"),
    (
        re.compile(
            r"(?i)([\"']?[\w-]*(?:passw(?:or)?d|secret|token|api_?key|authorization)[\w-]*[\"']?"
            r"\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&)}\]]+)"
        ),
        rf"\1{MASK}",
    ),
)
_QUIET: Final = ("httpx", "httpcore", "alembic", "uvicorn")
"""Libraries whose info lines say nothing that ours do not."""


def configure_logs(
    level: str = "info", *, as_json: bool = False, stream: TextIO | None = None
) -> None:
    """Send every logger of this process through our chain; may be called again.

    Args:
        level: Least severe level that is logged.
        as_json: One JSON object a line instead of text for people.
        stream: Where to write; None means standard error.
    """
    target = stream or sys.stderr
    shared = _shared_processors()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(_formatter(shared, as_json=as_json, colors=target.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask what looks like a secret, by its key or by its form; a structlog processor.

    And every secret that the activity of the moment has opened, wherever it stands.
    """
    return {key: _masked(key, value) for key, value in event.items()}


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]


def _formatter(
    shared: list[Processor], *, as_json: bool, colors: bool
) -> structlog.stdlib.ProcessorFormatter:
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=colors)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redact,
            renderer,
        ],
    )


def _masked(key: str, value: object) -> object:
    if _SECRET_KEY.search(key) and value not in (None, "", True, False):
        return MASK
    match value:
        case str():
            return _masked_text(value)
        case Mapping():
            items = cast("Mapping[object, object]", value)  # isinstance cannot know the types
            return {inner: _masked(str(inner), held) for inner, held in items.items()}
        case list() | tuple():
            several = cast("list[object]", value)  # as above
            return [_masked("", held) for held in several]
        case _:
            return value


def _masked_text(text: str) -> str:
    text = _opened_masked(text)
    for pattern, mask in _SECRET_TEXT:
        text = pattern.sub(mask, text)
    return text


def _opened_masked(text: str) -> str:
    """Mask what an activity has opened; a process that has loaded no activities has opened none."""
    if "activities.expressions.opening" not in sys.modules:
        return text
    from activities.expressions.opening import masked_text

    return masked_text(text)
