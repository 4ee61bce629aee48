"""What a fragment may do: the allow list, decided on the syntax tree before anything runs.

A fragment that breaks a rule is not an error: it stays in the text as it was written, as it does in
the real engine. So the rules decide results, and come in two steps: what can be said of the code
alone (`Checked.problem`), and which names must be known when it is evaluated (`Checked.names`).
"""

import ast
import builtins
import warnings
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from translator.values.fragments import (
    FILTERS,
    MAX_CODE,
    insides,
    is_word,
    parse,
    remembered,
    split_filters,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BUILTINS: Final = _words(
    "abs all any bool dict enumerate float int len list max min pow range reversed round set "
    "slice sorted str sum tuple zip"
)
"""Builtins that a fragment may use."""

FREE_BUILTINS: Final = _words(
    "bin complex hex oct ord ArithmeticError AssertionError AttributeError Exception ImportError "
    "IndexError KeyError LookupError NameError NotImplementedError OSError OverflowError "
    "PermissionError RuntimeError StopIteration SyntaxError TypeError UnicodeDecodeError "
    "UnicodeEncodeError ValueError ZeroDivisionError"
)
"""More builtins, harmless too, for those who set the engine's list of names to "off"."""

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

NEVER_OFFERED: Final = (SHIELDED | RESERVED | frozenset(dir(builtins))) - BUILTINS
"""Names that nothing but a variable of that name can offer."""

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
_LOOKED_AT: Final = (ast.Attribute, ast.Name, ast.Subscript, *_FORBIDDEN_NODES)
_READ_ANEW: Final = (ast.Tuple, ast.Starred, ast.Yield, ast.YieldFrom)
_DECODE: Final = "decode."

_CORRECT: Final = (
    "correct it; one that is meant for a shell may stay, it reaches the script as it is"
)
_COMPUTE: Final = "compute the value in a task and read its output"


class Problem(NamedTuple):
    """Why a fragment can never be evaluated, and what to do about it."""

    what: str
    fix: str


class Checked(NamedTuple):
    """What is known of a fragment's inside before it is evaluated.

    `expression` is None when there is nothing to evaluate: the code is blank, or `problem` says
    why it never can be and `fix` what to do. `names` are those that must be known, in no particular
    order; `filters` are applied in order. The tree is shared: nobody may change it.
    """

    expression: ast.expr | None
    filters: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    problem: str = ""
    fix: str = ""

    def unknown(self, known: Collection[str], modules: Collection[str]) -> list[str]:
        """Return the names that are neither variables, modules nor allowed builtins."""
        free = self.names - BUILTINS
        return sorted(name for name in free if name not in known and name not in modules)


@remembered
def check(inside: str) -> Checked:
    """Check one fragment's inside against the rules that need no variables."""
    if is_word(inside):
        name = ast.Name(inside, ast.Load(), lineno=1, col_offset=0)
        problem = _node_problem(name)
        return _refused(problem) if problem else Checked(name, names=frozenset({inside}))
    code, filters = split_filters(inside)
    if len(code) > MAX_CODE:
        return _refused(Problem(f"is longer than {MAX_CODE} characters", _COMPUTE))
    tree = parse(code)
    if tree is None:
        return _refused(_why_unparsed(code))
    chain = tuple(word for part in filters.split(",") if (word := part.strip()))
    problem = next((p for p in map(_filter_problem, chain) if p), None)
    if not problem and tree.body:
        return _check_expression(code, tree, chain)
    return _refused(problem, chain) if problem else Checked(None, chain)


def _refused(problem: Problem, chain: tuple[str, ...] = ()) -> Checked:
    return Checked(None, chain, problem=problem.what, fix=problem.fix)


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
    if NEVER_OFFERED.isdisjoint(checked.names):
        return ""
    forbidden = sorted(NEVER_OFFERED & checked.names)
    word = next((name for name in forbidden if name not in declared), "")
    return f"'${{{inside}}}' uses the name {word!r}, which is not offered" if word else ""


def _why_unparsed(code: str) -> Problem:
    bare = code.lstrip(" \t")
    if code != bare and parse(bare) is not None:
        return Problem("begins with a blank, which keeps it text", "write it without the blank")
    return Problem("is not a Python expression", _CORRECT)


def _filter_problem(word: str) -> Problem | None:
    codec = word.removeprefix(_DECODE)
    known = codec.isidentifier() if codec != word else word in FILTERS and word != "decode"
    if known:
        return None
    what = f"uses the filter {word!r}; known are h, u, x, n, trim, str, entity"
    return Problem(what, "use one of them; for a bitwise or, write brackets: (a | b)")


def _check_expression(code: str, tree: ast.Module, chain: tuple[str, ...]) -> Checked:
    expression = _sole_argument(code, tree)
    if expression is None:
        return _refused(Problem("is not one expression", _CORRECT), chain)
    nodes = list(ast.walk(expression))
    looked_at = (node for node in nodes if isinstance(node, _LOOKED_AT))
    problem = next((p for p in map(_node_problem, looked_at) if p), None)
    if problem:
        return _refused(problem, chain)
    return Checked(expression, chain, frozenset(_free_names(nodes)))


def _sole_argument(code: str, tree: ast.Module) -> ast.expr | None:
    """Return `code` as the one argument of a call, which is how the template language uses it.

    One statement that is an expression is the same as an argument, so that it is parsed once; what
    a call would read in another way is parsed as one.
    """
    match tree.body:
        case [ast.Expr(value=alone)] if ";" not in code and not isinstance(alone, _READ_ANEW):
            return alone
        case _:
            return _argument(code)


def _argument(code: str) -> ast.expr | None:
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


def _node_problem(node: ast.AST) -> Problem | None:
    match node:
        case ast.Attribute(attr=name) if _is_forbidden(name):
            return Problem(f"uses the attribute {name!r}, which is not offered", _COMPUTE)
        case ast.Attribute(value=ast.Name(id=name)) if name in RESERVED:
            what = f"looks into {name!r}, which is the template language's own"
            return Problem(what, "call the variable something else")
        case ast.Name(id=name) if name.startswith("__"):
            what = f"uses the name {name!r}, which is not offered"
            return Problem(what, "call the variable something else")
        case ast.Subscript(slice=ast.Constant(value=str() as key)) if key.startswith("__"):
            return Problem(f"uses the key {key!r}, which is not offered", _COMPUTE)
        case _ if isinstance(node, _FORBIDDEN_NODES):
            return Problem(f"uses {type(node).__name__.lower()}, which is not offered", _COMPUTE)
        case _:
            return None


def _is_forbidden(attribute: str) -> bool:
    return attribute in _FORBIDDEN_ATTRIBUTES or attribute.startswith(_FORBIDDEN_PREFIXES)


def _free_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Return the names that are read and bound nowhere inside."""
    named = [node for node in nodes if isinstance(node, ast.Name | ast.arg)]
    bound = {n.arg for n in named if isinstance(n, ast.arg)}
    bound |= {n.id for n in named if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return (n.id for n in named if isinstance(n, ast.Name) and n.id not in bound)
