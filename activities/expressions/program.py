"""Fragments to one program for the sandbox.

The syntax tree of each fragment is rewritten: variables get names of their own, so that none of
them can hide what the program itself uses, and calls that the sandbox's Python lacks become calls
of helpers. The program's value is a list with a row for each fragment: its text, or the name and
the message of the exception that it raised.
"""

import ast
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, cast

from activities.expressions.filters import RAW
from activities.expressions.helpers import FLAGS, FUNCTIONS, METHODS, NEEDS, SOURCES
from translator.values import BUILTINS, MODULES, Checked, check

_TYPES: Final = frozenset({"str", "list", "dict", "int", "float", "tuple", "set"})
_CLASS_METHODS: Final = frozenset({"fromkeys", "fromhex", "from_bytes"})
_UTF8: Final = frozenset({"utf-8", "utf8", "UTF-8", "UTF8", "ascii"})
CODECS: Final = {"encode": "__encode", "decode": "__decode"}
"""Methods that the worker answers where the sandbox does not know the codec."""


class Piece(NamedTuple):
    """One fragment, ready for a program: its code and what goes along with it."""

    code: str
    helpers: frozenset[str]
    modules: frozenset[str]
    variables: frozenset[str]


def variable_name(key: str) -> str:
    """Return the name of a variable inside the sandbox; no fragment can write it."""
    return f"__v_{key}"


def piece(inside: str, known: Collection[str], objects: Collection[str]) -> Piece | None:
    """Return the piece for a fragment that may be evaluated; None when it cannot be.

    `known` are the variables that have a value, `objects` those of them whose fields are read as
    attributes.
    """
    checked = check(inside)
    used = frozenset(name for name in checked.names if name in known)
    return _piece(inside, used, frozenset(name for name in used if name in objects))


def program(pieces: Sequence[Piece]) -> str:
    """Return the program that evaluates `pieces` in order, each on its own."""
    helpers = frozenset[str]().union(*(p.helpers for p in pieces))
    modules = frozenset[str]().union(*(p.modules for p in pieces))
    lines = [_import(name) for name in sorted(modules)]
    lines += [SOURCES[name] for name in sorted(_with_needs(helpers))]
    lines += ["__out = []", *(_attempt(p.code) for p in pieces), "__out"]
    return "\n".join(lines)


@lru_cache(maxsize=1024)
def _piece(inside: str, used: frozenset[str], objects: frozenset[str]) -> Piece | None:
    checked = check(inside)
    if checked.expression is None:
        return None
    rewriter = _Rewriter(used, objects)
    try:
        code = ast.unparse(rewriter.rewritten(checked.expression))
    except (RecursionError, ValueError, _NotOfferedError):
        return None
    wrapper = "__raw" if RAW in checked.filters else "__text"
    modules = frozenset(_modules(checked, used))
    return Piece(f"{wrapper}({code})", frozenset({wrapper, *rewriter.helpers}), modules, used)


def _modules(checked: Checked, used: Collection[str]) -> Iterable[str]:
    return (name for name in checked.names if name in MODULES and name not in used)


def _import(module: str) -> str:
    return "import os.path" if module == "os" else f"import {module}"


def _with_needs(helpers: Iterable[str]) -> set[str]:
    return {name for helper in helpers for name in (helper, *NEEDS.get(helper, ()))}


def _attempt(code: str) -> str:
    """Return the statement that evaluates `code`; in a function, so that it binds nothing."""
    return (
        f"try:\n    __out.append(((lambda: {code})(), '', ''))\n"
        "except Exception as __failure:\n"
        "    __out.append(('', type(__failure).__name__, str(__failure)[:300]))"
    )


class _NotOfferedError(Exception):
    """The fragment uses something that is not offered."""


class _Rewriter(ast.NodeVisitor):
    """Rewrites one fragment's tree into a new one; `helpers` are those that it has come to need."""

    def __init__(self, variables: Collection[str], objects: Collection[str]) -> None:
        self.helpers: set[str] = set()
        self._variables = variables
        self._objects = objects

    def rewritten(self, expression: ast.expr) -> ast.AST:
        """Return `expression` rewritten; a flag of `re` alone reads as its name."""
        flag = FLAGS.get(self._dotted(expression))
        return self.visit(expression) if flag is None else ast.Constant(flag)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Return a copy of a node with its parts rewritten: the tree itself is shared."""
        return type(node)(**{name: self._copied(part) for name, part in ast.iter_fields(node)})

    def _copied(self, part: object) -> object:
        match part:
            case ast.AST():
                return self.visit(part)
            case list():
                return [self._copied(each) for each in cast("list[object]", part)]
            case _:
                return part

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Rename a variable; a bare `os` is not offered."""
        if node.id in self._variables:
            return ast.Name(variable_name(node.id), node.ctx)
        if node.id == "os":
            raise _NotOfferedError
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Rename a parameter that has a variable's name."""
        if node.arg in self._variables:
            return ast.arg(variable_name(node.arg))
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Read a field of an object; let `os.path` alone."""
        match node.value:
            case ast.Name(id="os") if "os" not in self._variables and node.attr == "path":
                return node
            case ast.Name(id=name) if name in self._objects:
                return self._call("__attribute", [self.visit(node.value), ast.Constant(node.attr)])
            case _:
                return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Turn a call that the sandbox lacks into one that it has."""
        name = self._dotted(node.func)
        if name in FUNCTIONS:
            return self._call(FUNCTIONS[name], self._visited(node.args), node.keywords)
        if not isinstance(node.func, ast.Attribute):
            return self.generic_visit(node)
        method, owner = node.func.attr, node.func.value
        if self._is_unbound(owner, method, node.args):
            bound = ast.Attribute(node.args[0], method, ast.Load())
            return self.visit(ast.Call(bound, node.args[1:], node.keywords))
        helper = METHODS.get(method) or self._codec(method, node)
        if helper is None:
            return self.generic_visit(node)
        return self._call(helper, self._visited([owner, *node.args]), node.keywords)

    def _is_unbound(self, owner: ast.expr, method: str, arguments: Sequence[ast.expr]) -> bool:
        """Say whether this is a type's method called with its object, as `str.upper(x)`."""
        if not isinstance(owner, ast.Name) or owner.id not in _TYPES & BUILTINS:
            return False
        if owner.id in self._variables or method in _CLASS_METHODS or not arguments:
            return False
        return not isinstance(arguments[0], ast.Starred)

    def _codec(self, method: str, node: ast.Call) -> str | None:
        """Return the worker's function when a call names a codec that the sandbox lacks."""
        match node.args:
            case [ast.Constant(value=str() as codec), *_] if codec not in _UTF8:
                return CODECS.get(method)
            case _:
                return None

    def _dotted(self, node: ast.expr) -> str:
        """Return `a.b.c` of a chain that begins at a module or type, else nothing."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self._variables:
            return ""
        return ".".join([node.id, *reversed(names)])

    def _visited(self, nodes: Iterable[ast.expr]) -> list[ast.expr]:
        return [self.visit(node) for node in nodes]

    def _call(
        self, helper: str, arguments: list[ast.expr], keywords: Sequence[ast.keyword] = ()
    ) -> ast.Call:
        if helper in SOURCES:
            self.helpers.add(helper)
        named = [ast.keyword(word.arg, self.visit(word.value)) for word in keywords]
        return ast.Call(ast.Name(helper, ast.Load()), arguments, named)
