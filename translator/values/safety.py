"""What a fragment may do: the allow list, decided on the syntax tree before anything runs.

A fragment that breaks a rule is not an error: it stays in the text as it was written, as it does in
the real engine. So the rules decide results, and come in two steps: what can be said of the code
alone (`Checked.problem`), and which names must be known when it is evaluated (`Checked.names`).
"""

import ast
import builtins
import warnings
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from translator.values.fragments import FILTERS, MAX_CODE, insides, parse, split_filters


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BUILTINS: Final = _words(
    "abs all any bool dict enumerate float int len list max min pow range reversed round set "
    "slice sorted str sum tuple zip"
)
"""Builtins that a fragment may use."""

MODULES: Final = frozenset({"datetime", "re", "hashlib", "random", "time", "os", "json"})
"""Names under which modules are offered; of `os` only `os.path`."""

SHIELDED: Final = _words(
    "ascii breakpoint bytearray bytes callable chr classmethod compile delattr dir divmod eval "
    "exec filter format frozenset getattr globals hasattr hash help id input isinstance "
    "issubclass iter locals map memoryview next object open print property repr setattr "
    "staticmethod super type vars __import__"
)
"""Words that name nothing unless a variable is called so."""

RESERVED: Final = _words("self context local parent next caller pageargs UNDEFINED STOP_RENDERING")
"""Words of the template language whose attributes are out of reach, even of a variable's."""

_NEVER_OFFERED: Final = (SHIELDED | RESERVED | frozenset(dir(builtins))) - BUILTINS

HARMLESS: Final = frozenset({"format"})
"""Attributes that newer engines refuse and ours renders, as older ones did: a decided deviation.

The other part of it needs no table: a module's attributes may be followed further than one step,
so that `datetime.datetime.now().strftime(...)` and `datetime.datetime.strptime(...)` work.
"""

_FORBIDDEN_ATTRIBUTES: Final = _words(
    "os sys subprocess shutil ctypes socket _thread threading builtins modules popen popen2 "
    "popen3 popen4 system fork forkpty kill format_map mro "
    "f_back f_builtins f_code f_globals f_locals f_trace "
    "tb_frame tb_next co_code co_consts co_names func_code func_globals"
)
_FORBIDDEN_PREFIXES: Final = ("_", "spawn", "exec", "gi_", "cr_", "ag_")
_FORBIDDEN_NODES: Final = (ast.Await, ast.Yield, ast.YieldFrom)
_DECODE: Final = "decode."


class Checked(NamedTuple):
    """What is known of a fragment's inside before it is evaluated.

    `expression` is None when there is nothing to evaluate: the code is blank, or `problem` says
    why it never can be. `names` are those that must be known, in no particular order; `filters`
    are applied in order.
    """

    expression: ast.expr | None
    filters: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    problem: str = ""

    def unknown(self, known: Collection[str], modules: Collection[str]) -> list[str]:
        """Return the names that are neither variables, modules nor allowed builtins."""
        free = self.names - BUILTINS
        return sorted(name for name in free if name not in known and name not in modules)


@lru_cache(maxsize=4096)
def check(inside: str) -> Checked:
    """Check one fragment's inside against the rules that need no variables."""
    code, filters = split_filters(inside)
    if len(code) > MAX_CODE:
        return Checked(None, problem=f"is longer than {MAX_CODE} characters")
    tree = parse(code)
    if tree is None:
        return Checked(None, problem=_why_unparsed(code))
    chain = tuple(word for part in filters.split(",") if (word := part.strip()))
    problem = next((p for p in map(_filter_problem, chain) if p), "")
    if not problem and tree.body:
        return _check_expression(code, chain)
    return Checked(None, chain, problem=problem)


def expression_problem(text: str, declared: Collection[str] = ()) -> str | None:
    """Say why a fragment of `text` can never be evaluated, or None when each one may be.

    `declared` are the variables that are known; one of them wins over a forbidden word.
    """
    whole = text[2:-1]
    if text == f"${{{whole}}}" and whole in declared:
        return None
    problems = (_problem(inside, declared) for inside in insides(text))
    return next((problem for problem in problems if problem), None)


def _problem(inside: str, declared: Collection[str]) -> str:
    checked = check(inside)
    if checked.problem:
        return f"'${{{inside}}}' {checked.problem}"
    forbidden = sorted(_NEVER_OFFERED & checked.names)
    word = next((name for name in forbidden if name not in declared), "")
    return f"'${{{inside}}}' uses the name {word!r}, which is not offered" if word else ""


def _why_unparsed(code: str) -> str:
    if code[:1] in {" ", "\t"} and parse(code.lstrip()) is not None:
        return "begins with a blank, so that it stays text; write it without"
    return "is not a Python expression"


def _filter_problem(word: str) -> str:
    codec = word.removeprefix(_DECODE)
    known = codec.isidentifier() if codec != word else word in FILTERS and word != "decode"
    return "" if known else f"uses the filter {word!r}; known are h, u, x, n, trim, str, entity"


def _check_expression(code: str, chain: tuple[str, ...]) -> Checked:
    expression = _sole_argument(code)
    if expression is None:
        return Checked(None, chain, problem="is not one expression")
    try:
        problem = next((p for p in map(_node_problem, ast.walk(expression)) if p), "")
    except RecursionError:
        problem = "is nested too deeply"
    if problem:
        return Checked(None, chain, problem=problem)
    return Checked(expression, chain, frozenset(_free_names(expression)))


def _sole_argument(code: str) -> ast.expr | None:
    """Parse `code` as the one argument of a call, which is how the template language uses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call = ast.parse(f"_(\n{code}\n)", mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return None
    match call:
        case ast.Call(func=ast.Name(), args=[argument], keywords=[]):
            return None if isinstance(argument, ast.Starred) else argument
        case _:
            return None


def _node_problem(node: ast.AST) -> str:
    match node:
        case ast.Attribute(attr=name) if _is_forbidden(name):
            return f"uses the attribute {name!r}, which is not offered"
        case ast.Attribute(value=ast.Name(id=name)) if name in RESERVED:
            return f"looks into {name!r}, which is the template language's own"
        case ast.Name(id=name) if name.startswith("__"):
            return f"uses the name {name!r}, which is not offered"
        case ast.Subscript(slice=ast.Constant(value=str() as key)) if key.startswith("__"):
            return f"uses the key {key!r}, which is not offered"
        case _ if isinstance(node, _FORBIDDEN_NODES):
            return f"uses {type(node).__name__.lower()}, which is not offered"
        case _:
            return ""


def _is_forbidden(attribute: str) -> bool:
    return attribute in _FORBIDDEN_ATTRIBUTES or attribute.startswith(_FORBIDDEN_PREFIXES)


def _free_names(expression: ast.expr) -> Iterator[str]:
    """Yield the names that are read and bound nowhere inside."""
    nodes = list(ast.walk(expression))
    bound = {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in bound:
            yield node.id
