"""Resolving Values, and the closure of variables that they need; everything but Expressions."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, assert_never

from pydantic import JsonValue

from translator.plan import (
    DictValue,
    Expression,
    ListValue,
    Literal,
    Ref,
    Splice,
    Value,
    Variable,
    VariableKey,
)
from translator.values.classify import leaves, needs_sandbox, reads, source
from translator.values.sealing import holds_sealed

OBJECT_TEXT: Final = "_pipeline_var_str_value"
"""The field in which an object that stands for a value carries its text (bk-sops's own name)."""

_ABSENT: Final = object()


class NeedsSandbox(Exception):  # noqa: N818  says what the caller must do
    """An Expression cannot be resolved here."""

    def __init__(self, expression: Expression) -> None:
        super().__init__(f"{expression.text!r} has to be evaluated in the sandbox")
        self.expression = expression


class ReferenceCycle(Exception):  # noqa: N818  the thing, not the failure, has the name
    """Variables refer to each other in a circle; `cycle` begins and ends with the same one."""

    def __init__(self, cycle: Iterable[VariableKey]) -> None:
        self.cycle = tuple(cycle)
        super().__init__("variables refer to each other: " + " -> ".join(self.cycle))


def as_text(value: JsonValue) -> str:
    """Return what `value` looks like inside a longer text: Python's `str()`.

    Raises:
        ValueError: a number in it is too long to be written.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(text := value.get(OBJECT_TEXT), str):
        return text
    return str(value)


def resolve(value: Value, known: Mapping[VariableKey, JsonValue]) -> JsonValue:
    """Resolve `value` from the variables in `known`; an unknown reference stays as it is written.

    Raises:
        NeedsSandbox: there is an Expression in it.
    """
    match value:
        case Literal(value=plain):
            return plain
        case Ref(key=key):
            found = known.get(key, _ABSENT)
            return f"${{{key}}}" if found is _ABSENT else known[key]
        case Splice(parts=parts):
            return "".join([p if isinstance(p, str) else _spliced(p.key, known) for p in parts])
        case ListValue(items=items):
            return [resolve(item, known) for item in items]
        case DictValue(fields=fields):
            return {key: resolve(field, known) for key, field in fields.items()}
        case Expression():
            raise NeedsSandbox(value)
        case _:
            assert_never(value)


def _spliced(key: VariableKey, known: Mapping[VariableKey, JsonValue]) -> str:
    try:
        return as_text(known[key])
    except (KeyError, ValueError, RecursionError):
        return f"${{{key}}}"


def resolve_all(
    values: Mapping[str, Value], variables: Mapping[VariableKey, Variable]
) -> dict[str, JsonValue]:
    """Resolve `values` over a pure closure, each variable after those it refers to.

    Raises:
        NeedsSandbox: an Expression is among them.
    """
    known: dict[VariableKey, JsonValue] = {}
    for key, variable in variables.items():
        if variable.kind == "plain":
            known[key] = source(variable.value)
        elif variable.kind != "output":  # an output has no value yet, so references stay text
            known[key] = resolve(variable.value, known)
    return {name: resolve(value, known) for name, value in values.items()}


def is_pure(values: Iterable[Value], variables: Mapping[VariableKey, Variable]) -> bool:
    """Say whether all this resolves without the sandbox, a lazy variable or opening a secret.

    A reference keeps a sealed value as it is; text around one can only be made where it is opened.
    """
    if any(variable.kind == "lazy" for variable in variables.values()):
        return False
    rendered = (v.value for v in variables.values() if v.kind == "splice")
    every = [*values, *rendered]
    return not any(map(needs_sandbox, every)) and not _splices_sealed(every, variables.values())


def _splices_sealed(values: Iterable[Value], variables: Iterable[Variable]) -> bool:
    """Say whether there is text with references in it, and a secret that may go there."""
    if not any(isinstance(leaf, Splice) for value in values for leaf in leaves(value)):
        return False
    return any(variable.secret or _holds_sealed(variable.value) for variable in variables)


def _holds_sealed(value: Value) -> bool:
    return any(isinstance(leaf, Literal) and holds_sealed(leaf.value) for leaf in leaves(value))


def closure(
    values: Iterable[Value], find: Callable[[VariableKey], Variable | None]
) -> dict[VariableKey, Variable]:
    """Return every variable that `values` need, each after the ones that it refers to.

    `plain` variables and outputs are not looked into; names that `find` does not know are left out.

    Raises:
        ReferenceCycle: variables refer to each other.
    """
    done: dict[VariableKey, Variable] = {}
    for value in values:
        for key in reads(value):
            if key not in done:
                _add(key, find, done)
    return done


def _add(
    key: VariableKey,
    find: Callable[[VariableKey], Variable | None],
    done: dict[VariableKey, Variable],
) -> None:
    """Add `key` and what it needs to `done`: depth first, with a stack of its own."""
    path: dict[VariableKey, tuple[Variable, Iterator[VariableKey]]] = {}
    step: VariableKey | None = key
    while step is not None or path:
        if step is not None and step not in done:
            if step in path:
                raise ReferenceCycle(_cycle(list(path), step))
            if (variable := find(step)) is not None:
                path[step] = variable, iter(_needs(variable))
        if not path:
            return
        last = next(reversed(path))
        step = next(path[last][1], None)
        if step is None:
            done[last] = path.pop(last)[0]


def _needs(variable: Variable) -> tuple[VariableKey, ...]:
    return reads(variable.value) if variable.kind in {"splice", "lazy"} else ()


def _cycle(path: list[VariableKey], key: VariableKey) -> list[VariableKey]:
    return [*path[path.index(key) :], key]
