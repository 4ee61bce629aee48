"""Conditions of gateways: bk-sops's BoolRule, parsed once, tested with tokens.

A condition is comparisons joined by `and` and `or`, which bind alike and to the right. References
are tokens of the condition, never text that is pasted into it, so that a quote in a value cannot
change what the condition says. Source: bamboo-engine utils/boolrule; differs: tokens.
"""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final, cast

from translator.plan import (
    Always,
    Chain,
    Comparator,
    Compare,
    Condition,
    Const,
    Literal,
    Operand,
    Quoted,
    Ref,
    Rule,
    Several,
    Token,
    Value,
)
from translator.values.classify import classify_text, reads
from translator.values.fragments import FRAGMENT
from translator.values.safety import check

MAX_NESTING: Final = 100
"""How deep parentheses and changes between `and` and `or` may go: what a stored plan can hold."""

_REAL: Final = re.compile(r"[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+(?:[eE]\+?[0-9]+)?")
_BOOLEAN: Final = re.compile(r"true|false", re.IGNORECASE)
_WORD_PART: Final = r"(?:\$\{)?_?[A-Za-z][A-Za-z0-9_]*\}?"
_WORD: Final = re.compile(rf"{_WORD_PART}(?:\.{_WORD_PART})*")
_COMPARATOR: Final = re.compile(r"==|!=|<=|>=|<|>|notin|notissuperset|issuperset|in", re.IGNORECASE)
_JOINER: Final = re.compile(r"(?<![A-Za-z0-9_$])(and|or)(?![A-Za-z0-9_$])", re.IGNORECASE)
_BLANK: Final = re.compile(r"[ \n\t\r]*")
_RUN_END: Final = frozenset(" \n\t\r(),'\"=!<>")
_CONTROL: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
_ESCAPE: Final = re.compile(r"\\([ntrf])")


class RuleSyntaxError(Exception):
    """A condition does not parse; `at` is where, counted in characters from 0."""

    stage: Final = "parse"

    def __init__(self, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.at = at


def parse_condition(text: str, declared: Collection[str] = ()) -> Condition:
    """Parse a gateway's condition; never raises, a Condition without a rule says why not."""
    try:
        rule = parse_rule(text, live_fragments(text, declared), declared)
    except RuleSyntaxError as failure:
        return Condition(text=text, error=str(failure))
    names = dict.fromkeys(name for value in operands(rule) for name in reads(value))
    return Condition(text=text, rule=rule, reads=tuple(names))


def operands(rule: Rule) -> list[Value]:
    """Return the values that must be resolved before `rule` is tested, each once, in text order."""
    return list(dict.fromkeys(_values(rule)))


def unescape(text: str) -> str:
    r"""Turn `\n`, `\t`, `\r` and `\f` of a quoted operand into the characters they stand for."""
    return _ESCAPE.sub(lambda match: _CONTROL[match[1]], text) if "\\" in text else text


def live_fragments(text: str, declared: Collection[str] = ()) -> dict[int, int]:
    """Return start and end of each fragment in `text` that may be evaluated."""
    return {
        found.start(): found.end()
        for found in FRAGMENT.finditer(text)
        if found[1] in declared or not check(found[1]).problem
    }


def parse_rule(
    text: str,
    fragments: dict[int, int] | None = None,
    declared: Collection[str] = (),
    word: Callable[[str], Operand] | None = None,
) -> Rule:
    """Parse `text` as a rule.

    `fragments` are the references in it, by start and end; without them `${x}` is a word like any
    other. `word` makes the operand of a bare word, a Const unless given.

    Raises:
        RuleSyntaxError: it does not parse.
    """
    if text.strip() == "*":
        return Always()
    if "\t" in text and not fragments:
        text = text.expandtabs()  # as the engine's parser does, before it looks at quotes
    parser = _Parser(text, fragments or {}, declared, word or _constant)
    rule = parser.expression(MAX_NESTING)
    parser.expect_end()
    return rule


def parse_operand(text: str) -> Operand | None:
    """Parse `text` as one operand without references; None when it is none, or more than one."""
    parser = _Parser(text, {}, (), _constant)
    try:
        operand = parser.operand()
    except RuleSyntaxError:
        return None
    return operand if parser.peek() == "" else None


def _why_no_integer(number: str) -> str:
    if "E" in number.upper():
        return f"invalid literal for int() with base 10: {number.upper()!r}"
    return f"a number of {len(number)} digits is too long"


def _constant(word: str) -> Operand:
    return Const(value=word)


def _values(rule: Rule) -> Iterator[Value]:
    waiting: list[Rule | Operand] = [rule]
    while waiting:
        match waiting.pop():
            case Chain(left=left, right=right) | Compare(left=left, right=right):
                waiting += [right, left]
            case Several(items=items):
                waiting.extend(reversed(items))
            case Token(value=value) | Quoted(value=value):
                yield value
            case _:
                pass


def _join(terms: list[Rule], joiners: list[str]) -> Rule:
    """Fold terms to the right; a row of one joiner becomes a balanced tree of the same sense."""
    rest, at = [terms[-1]], len(joiners)
    while at:
        joiner = joiners[at - 1]
        while at and joiners[at - 1] == joiner:
            at -= 1
            rest.append(terms[at])
        rest = [_balanced(rest[::-1], joiner)]
    return rest[0]


def _balanced(terms: list[Rule], joiner: str) -> Rule:
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return Chain(
        joiner="and" if joiner == "and" else "or",
        left=_balanced(terms[:middle], joiner),
        right=_balanced(terms[middle:], joiner),
    )


class _Parser:
    """Recursive descent over one text; each method starts at `at` and leaves it behind its match.

    A method that may fail without harm returns None and remembers how far it came.
    """

    def __init__(
        self,
        text: str,
        fragments: dict[int, int],
        declared: Collection[str],
        word: Callable[[str], Operand],
    ) -> None:
        self._text = text
        self._fragments = fragments
        self._declared = declared
        self._word = word
        self._at = 0
        self._furthest = (-1, "a comparison")

    def peek(self) -> str:
        """Skip blanks and return the next character, "" at the end."""
        self._at = cast("re.Match[str]", _BLANK.match(self._text, self._at)).end()
        return self._text[self._at : self._at + 1]

    def expect_end(self) -> None:
        """Fail unless nothing is left."""
        if self.peek():
            self._miss("'and', 'or' or the end")
            self._fail()

    def expression(self, depth: int) -> Rule:
        """Parse comparisons joined by `and` and `or`."""
        terms, joiners = [self._term(depth)], list[str]()
        changes = 0
        while joiner := self._take(_JOINER):
            changes += bool(joiners) and joiners[-1] != joiner.lower()
            if changes >= depth:
                raise RuleSyntaxError(f"changes between and and or more than {MAX_NESTING} times")
            joiners.append(joiner.lower())
            terms.append(self._term(depth - changes))
        return _join(terms, joiners)

    def operand(self) -> Operand | None:
        """Parse one operand: a value, or a parenthesised list of values."""
        if self.peek() != "(":
            return self._value()
        self._at += 1
        items = list[Operand]()
        while (item := self._value()) is not None:
            items.append(item)
            if self.peek() != ",":
                break
            self._at += 1
        if item is None or self.peek() != ")":
            self._miss("',' or ')'")
            return None
        self._at += 1
        return Several(items=tuple(items))

    def _term(self, depth: int) -> Rule:
        self.peek()
        start = self._at
        if (compare := self._comparison()) is not None:
            return compare
        self._at = start
        if self.peek() != "(":
            self._fail()
        if depth <= 1:
            raise RuleSyntaxError(f"is nested more than {MAX_NESTING} deep", start)
        self._at += 1
        inner = self.expression(depth - 1)
        if self.peek() != ")":
            self._miss("')'")
            self._fail()
        self._at += 1
        return inner

    def _comparison(self) -> Compare | None:
        left = self.operand()
        if left is None:
            return None
        word = self._take(_COMPARATOR)
        if not word:
            self._miss("a comparison operator")
            return None
        right = self.operand()
        if right is None:
            return None
        return Compare(left=left, comparator=cast("Comparator", word.lower()), right=right)

    def _value(self) -> Operand | None:
        first = self.peek()
        if token := self._token():
            return token
        if first in {"'", '"'}:
            return self._quoted(first)
        if constant := self._number() or self._boolean():
            return constant
        if word := self._take(_WORD):
            return self._word(word)
        self._miss("a value")
        return None

    def _number(self) -> Operand | None:
        if real := self._take(_REAL):
            return Const(value=float(real))
        start, number = self._at, self._take(_INTEGER)
        if not number:
            return None
        try:
            return Const(value=int(number))
        except ValueError:
            raise RuleSyntaxError(_why_no_integer(number), start) from None

    def _boolean(self) -> Operand | None:
        word = self._take(_BOOLEAN)
        return Const(value=word.lower() == "true") if word else None

    def _token(self) -> Operand | None:
        """Parse an unquoted operand with references: up to the next blank, bracket or operator."""
        if not self._fragments:
            return None
        at, live = self._at, False
        while at < len(self._text) and self._text[at] not in _RUN_END:
            live |= at in self._fragments
            at = self._fragments.get(at, at + 1)
        if not live:
            return None
        text, self._at = self._text[self._at : at], at
        value = classify_text(text, self._declared)
        return Const(value=text) if isinstance(value, Literal) else Token(value=value)

    def _quoted(self, quote: str) -> Operand | None:
        start = at = self._at + 1
        live = False
        while at < len(self._text) and self._text[at] not in {quote, "\n", "\r"}:
            live |= at in self._fragments
            at = self._fragments.get(at, at + 1)
        if self._text[at : at + 1] != quote:
            self._at = at
            self._miss(f"a closing {quote}")
            return None
        self._at = at + 1
        text = self._text[start:at]
        value = classify_text(text, self._declared) if live else Literal(value=text)
        return Const(value=unescape(text)) if isinstance(value, Literal) else Quoted(value=value)

    def _take(self, pattern: re.Pattern[str]) -> str:
        """Skip blanks and take what `pattern` matches, else nothing."""
        self.peek()
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _miss(self, wanted: str) -> None:
        self.peek()
        if self._at > self._furthest[0]:
            self._furthest = self._at, wanted

    def _fail(self) -> None:
        at, wanted = self._furthest
        found = self._text[at : at + 20]
        place = f"at column {at + 1}, before {found!r}" if found else "at the end"
        raise RuleSyntaxError(f"{wanted} is missing {place}", max(at, 0))


def word_reference(word: str) -> Operand:
    """Make a bare word an operand that is looked up, for a rule that is tested with a context."""
    return Token(value=Ref(key=word))
