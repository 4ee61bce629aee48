"""What a PromQL expression asks for: metrics, and the labels that it names of them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import promql_parser

BELOW = ("lhs", "rhs", "expr", "param", "vector_selector")
ADDED_BY_PROMETHEUS = {"instance", "job"}
"""Labels that a scrape adds; no process exports them."""


class Asked(NamedTuple):
    """A metric, and the labels by which it is filtered or grouped."""

    name: str
    labels: frozenset[str]


def asked(expression: str) -> list[Asked]:
    """Return every metric of an expression.

    Raises:
        ValueError: it cannot be parsed.
    """
    return list(_walk(promql_parser.parse(expression), frozenset()))


def _walk(node: Any, grouped: frozenset[str]) -> Iterator[Asked]:
    kind = type(node).__name__
    if kind == "VectorSelector":
        named = {matcher.name for matcher in node.matchers.matchers}
        yield Asked(node.name, frozenset((named | grouped) - ADDED_BY_PROMETHEUS))
        return
    if kind == "AggregateExpr" and node.modifier is not None:
        grouped |= frozenset(node.modifier.labels)
    for below in (*(getattr(node, n, None) for n in BELOW), *getattr(node, "args", ())):
        if below is not None:
            yield from _walk(below, grouped)
