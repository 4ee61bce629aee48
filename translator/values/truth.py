"""Testing a parsed condition: the comparisons of BoolRule and their conversions.

Where one side is an int (a bool is one), the other is turned into an int, even if that cuts it;
else where one side is text, the other is turned into text. What cannot be turned is left as it is.
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never, cast

from pydantic import JsonValue

from translator.plan import (
    Always,
    Chain,
    Comparator,
    Compare,
    Const,
    Operand,
    Quoted,
    Ref,
    Rule,
    Several,
    Token,
    Value,
)
from translator.values.conditions import parse_operand, parse_rule, unescape, word_reference
from translator.values.resolving import as_text

# A side of a comparison: JSON, or what a path in a test's context leads to.
_Side = Any
_SideOf = Callable[[Operand], _Side]

_ORDER: Final[Mapping[str, Callable[[_Side, _Side], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


class RuleError(Exception):
    """A condition parses, but its values cannot be compared in this way."""

    stage: Final = "test"


def holds(rule: Rule, resolved: Mapping[Value, JsonValue]) -> bool:
    """Test `rule` with its operands' values; what `and` or `or` makes needless is not looked at.

    Raises:
        RuleError: two values cannot be compared.
    """
    return _holds(rule, lambda operand: _side(operand, resolved))


def test_text(text: str, context: Mapping[str, JsonValue] | None = None) -> bool:  # noqa: PT028  no pytest function
    """Parse and test a bare rule: `${x}` in it is a word, looked up in `context` if there is one.

    Raises:
        RuleSyntaxError: it does not parse.
        RuleError: a word is not in the context, or two values cannot be compared.
    """
    if not context:
        return holds(parse_rule(text), {})
    rule = parse_rule(text, word=word_reference)
    return _holds(rule, lambda operand: _looked_up(operand, context))


def _holds(rule: Rule, side: _SideOf) -> bool:
    match rule:
        case Always():
            return True
        case Compare(left=left, comparator=comparator, right=right):
            return _compare(side(left), comparator, side(right))
        case Chain(joiner="and", left=left, right=right):
            return _holds(left, side) and _holds(right, side)
        case Chain(left=left, right=right):
            return _holds(left, side) or _holds(right, side)
        case _:
            assert_never(rule)


def _side(operand: Operand, resolved: Mapping[Value, JsonValue]) -> _Side:
    match operand:
        case Const(value=value):
            return value
        case Several(items=items):
            return [_side(item, resolved) for item in items]
        case Token(value=value):
            return _token(resolved[value])
        case Quoted(value=value):
            return unescape(_text(resolved[value]))
        case _:
            assert_never(operand)


def _token(value: JsonValue) -> _Side:
    """Return what an unquoted value counts as: the token its text lexes to, else its text."""
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = _text(value)
    operand = parse_operand(text)
    return text if operand is None else _side(operand, {})


def _text(value: JsonValue) -> str:
    try:
        return as_text(value)
    except (ValueError, RecursionError) as failure:
        raise RuleError(str(failure)) from None


def _looked_up(operand: Operand, context: Mapping[str, JsonValue]) -> _Side:
    match operand:
        case Several(items=items):
            return [_looked_up(item, context) for item in items]
        case Token(value=Ref(key=path)):
            return _walk(context, path)
        case _:
            return _side(operand, {})


def _walk(found: _Side, path: str) -> _Side:
    """Follow a dotted path: an attribute first, else an item, as the engine does."""
    try:
        for part in path.split("."):
            found = getattr(found, part) if hasattr(found, part) else found[part]
    except KeyError:
        raise RuleError(f"no value supplied for {path}") from None
    except TypeError as failure:
        raise RuleError(str(failure)) from None
    return found


def _compare(left: _Side, comparator: Comparator, right: _Side) -> bool:
    try:
        match comparator:
            case "in":
                return left in _widened(left, right)
            case "notin":
                return left not in _widened(left, right)
            case "issuperset":
                return set(left).issuperset(set(right))
            case "notissuperset":
                return not set(left).issuperset(set(right))
            case _:
                return _ORDER[comparator](*_aligned(left, right))
    except (TypeError, ValueError, RecursionError) as failure:
        raise RuleError(str(failure)) from None


def _aligned(left: _Side, right: _Side) -> tuple[_Side, _Side]:
    if isinstance(left, int):
        return left, _converted(int, right)
    if isinstance(right, int):
        return _converted(int, left), right
    if isinstance(left, str):
        return left, str(right)
    if isinstance(right, str):
        return str(left), right
    return left, right


def _widened(left: _Side, right: _Side) -> _Side:
    """Add to a list its items turned into the type of what is looked for."""
    kind = int if isinstance(left, int) else str if isinstance(left, str) else None
    if kind is None or not isinstance(right, list):
        return right
    items = cast("list[_Side]", right)  # whatever was in the context
    return [*(_converted(kind, item) for item in items), *items]


def _converted(kind: Callable[[_Side], _Side], value: _Side) -> _Side:
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        return value
