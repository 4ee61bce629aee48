"""The template language's outer layer: where fragments stand, and which names they refer to.

A fragment is `${...}` without any of `$ { } #` inside; its code is a Python expression, optionally
followed by `|` and filters. Everything else of a text is plain, whatever it looks like.
"""

import ast
import functools
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from keyword import iskeyword
from typing import Final, NamedTuple, TypeVar

from pydantic import JsonValue

FRAGMENT: Final = re.compile(r"\$\{([^${}#]+)\}")
"""One fragment; group 1 is what stands inside. Linear: the class excludes its own delimiters."""

MAX_CODE: Final = 10_000
"""Longest code, in characters, that is looked into; a longer fragment stays text."""

FILTERS: Final = frozenset({"x", "h", "u", "trim", "entity", "unicode", "str", "n", "decode"})
"""First words of the filters that the template language knows."""

_T = TypeVar("_T")
_LONG: Final = 500
_REMEMBERED: Final = 4096
_REMEMBERED_LONG: Final = 16

_NEVER_READ: Final = frozenset({"True", "False", "None", "print", "context"})
_OPENING: Final = frozenset("([")
_CLOSING: Final = frozenset(")]")


class Code(NamedTuple):
    """A fragment's inside, split at its first `|` outside of quotes and brackets."""

    code: str
    filters: str


def remembered(function: Callable[[str], _T]) -> Callable[[str], _T]:
    """Keep what `function` made of a text: of thousands of short ones, but of few long ones.

    A syntax tree takes a hundred times the memory of its text, so the texts of one hostile template
    must not fill a cache that is bounded by number alone.
    """
    short = functools.lru_cache(_REMEMBERED)(function)
    long = functools.lru_cache(_REMEMBERED_LONG)(function)

    @functools.wraps(function)
    def remembering(text: str) -> _T:
        return short(text) if len(text) <= _LONG else long(text)

    return remembering


def is_word(inside: str) -> bool:
    """Say whether `inside` is one plain name, so that it need not be parsed."""
    if len(inside) > _LONG:
        return False
    return inside.isascii() and inside.isidentifier() and not iskeyword(inside)


def insides(text: str) -> list[str]:
    """Return what stands inside each fragment of `text`, in order."""
    return FRAGMENT.findall(text) if "${" in text else []


def texts(value: JsonValue) -> Iterator[str]:
    """Yield every text in `value`, in order; keys of objects are none."""
    waiting: list[JsonValue] = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case list() as items:
                waiting.extend(reversed(items))
            case dict() as fields:
                waiting.extend(reversed(fields.values()))
            case _:
                pass


def references(value: JsonValue) -> tuple[str, ...]:
    """Return the names that the texts in `value` refer to, in order of first use.

    A fragment that does not parse refers to nothing. Source: bamboo-engine get_reference, which
    takes the identifiers that Mako finds undeclared; so builtins and modules are among them.
    """
    found: dict[str, None] = {}
    for text in texts(value):
        for inside in insides(text):
            found.update(dict.fromkeys(names_in(inside)))
    return tuple(found)


def names_in(inside: str) -> tuple[str, ...]:
    """Return the undeclared names of one fragment's inside, in order of first use."""
    if is_word(inside):
        return () if inside in _NEVER_READ else (inside,)
    return _names_in(inside)


@remembered
def _names_in(inside: str) -> tuple[str, ...]:
    code, filters = split_filters(inside)
    trees = [parse(code.lstrip()), parse(f"{filters},") if filters else None]
    if trees[0] is None or (filters and trees[1] is None):
        return ()
    try:
        scans = [_Scan().read(tree) for tree in trees if tree is not None]
    except RecursionError:
        return ()
    filtering = [n for scan in scans[1:] for n in scan.undeclared if n not in FILTERS]
    names = dict.fromkeys([*scans[0].undeclared, *filtering])
    return tuple(name for name in names if name not in scans[0].declared)


def split_filters(inside: str) -> Code:
    """Split a fragment's inside into code and filters; a `|` in quotes or brackets is code."""
    if "|" not in inside:
        return Code(inside.replace("\r\n", "\n"), "")
    at, depth, size = 0, 0, len(inside)
    while at < size and not (inside[at] == "|" and depth <= 0):
        char = inside[at]
        depth += (char in _OPENING) - (char in _CLOSING)
        at = _string_end(inside, at) if char in "\"'" else at + 1
    return Code(inside[:at].replace("\r\n", "\n"), inside[at + 1 :].strip())


def _string_end(text: str, start: int) -> int:
    """Return where the string that opens at `start` ends; one that never closes is one quote."""
    triple = text[start : start + 3]
    quotes = [triple, text[start]] if triple == text[start] * 3 else [text[start]]
    for quote in quotes:
        at = start + len(quote)
        while at < len(text):
            if text.startswith(quote, at):
                return at + len(quote)
            at += 2 if text[at] == "\\" else 1
    return start + 1


@remembered
def parse(code: str) -> ast.Module | None:
    """Parse `code` as Python; None when it does not parse or is too long to look into.

    The tree is shared by all who ask: nobody may change it.
    """
    if len(code) > MAX_CODE:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a template's "\d" is no business of ours
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return None


class _Scan:
    """Collects declared and undeclared names in the order in which Mako visits a tree."""

    def __init__(self) -> None:
        self.declared: set[str] = set()
        self.undeclared: dict[str, None] = {}
        self._local: frozenset[str] = frozenset()
        self._in_function = False

    def read(self, tree: ast.AST) -> "_Scan":
        """Visit `tree` and return this scan."""
        self._visit(tree)
        return self

    def _visit(self, node: ast.AST) -> None:
        match node:
            case ast.Name():
                self._name(node)
            case ast.Assign(targets=targets, value=value):
                self._all([value, *targets])
            case ast.Lambda():
                self._lambda(node)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self._comprehension(node)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                self.declared.update((n.asname or n.name).split(".")[0] for n in names)
            case _:
                self._all(ast.iter_child_nodes(node))

    def _all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self._visit(node)

    def _name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._declare(node.id)
        elif node.id not in self.declared and node.id not in self._local | _NEVER_READ:
            self.undeclared.setdefault(node.id)

    def _declare(self, name: str) -> None:
        if self._in_function:
            self._local |= {name}
        else:
            self.declared.add(name)

    def _lambda(self, node: ast.Lambda) -> None:
        before = self._local, self._in_function
        self._local |= {argument.arg for argument in node.args.args}
        self._in_function = True
        self._visit(node.body)
        self._local, self._in_function = before

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
    ) -> None:
        if not self._in_function:
            self._all(ast.iter_child_nodes(node))
            return
        for clause in node.generators:
            self._all([clause.target, clause.iter])
