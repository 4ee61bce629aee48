"""The command `eval`: one value or condition, rendered as a worker would, without a server."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import (
    JsonFlag,
    SetValues,
    epilog,
    read_data,
    read_inputs_file,
    read_values,
)
from workers.cli.output import Code, complain, end, print_json, remark

if TYPE_CHECKING:
    from pydantic import JsonValue

    from activities.expressions import ExpressionWarning
    from translator.plan import Value, Variable

    Variables = Mapping[str, Variable]

_DATA: Final = frozenset({".json", ".yaml", ".yml"})
_KINDS: Final = {
    "literal": "text without a reference, taken as it is",
    "reference": "one variable, whose type is kept; resolved in the workflow",
    "splice": "text with variables in it; resolved in the workflow",
    "expression": "evaluated in the sandbox, in the activity that needs it",
    "array": "a list, each item by its own kind",
    "object": "an object, each field by its own kind",
    "condition": "what a gateway tests before it opens a branch",
}


_TYPES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


class Mode(StrEnum):
    """What a value is taken for."""

    TEMPLATE = "template"
    CONDITION = "condition"


class Answer(NamedTuple):
    """What came of a value, and the fragments in it that stay as they are written.

    `error` says why there is no result, of a condition that cannot be tested.
    """

    value: "JsonValue"
    kind: str
    references: list[str]
    result: "JsonValue"
    warnings: "list[ExpressionWarning]"
    error: str = ""


@app.command(
    "eval",
    epilog=epilog(
        "stdops eval 'ping ${ip}' --set ip=10.0.0.1",
        "stdops eval '${count + 1}' --set count:=4 --json",
        "stdops eval '${code} == 0' --mode condition --set code:=0",
        "stdops eval '${hosts[0]}' --template release.json --strict",
        codes=[Code.ERRORS, Code.REFUSED],
    ),
)
def evaluate(  # noqa: PLR0913  a command's options
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="Text with ${...} in it.")
    ] = None,
    *,
    given: SetValues = [],  # noqa: B006  typer copies it
    template: Annotated[
        str, typer.Option(metavar="SOURCE", help="Take the variables of this export, or key.")
    ] = "",
    named: Annotated[
        str, typer.Option(metavar="TEMPLATE", help="Which template of a file with several.")
    ] = "",
    value_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read VALUE there: .json and .yaml as data, else text."),
    ] = None,
    context_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Values of variables in a JSON or YAML object."),
    ] = None,
    mode: Annotated[Mode, typer.Option(help="What VALUE is.")] = Mode.TEMPLATE,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 when a fragment stays text.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Render one value, and tell of each ${...} in it that stays text why it does.

    It runs in the sandbox that a worker uses. A variable that a node or a plugin gives has no value
    here: give it by --set. A value that is evaluated and fails is no error, as in a run; what takes
    too long or too much memory is one, and ends with 1, as does a condition that cannot be tested.
    """
    asked = _asked(value, value_file)
    values = {**read_inputs_file(context_file), **read_values(given)}
    variables = _variables(template, named, values)
    answer = _answered(asked, variables, mode)
    if as_json:
        print_json(_as_data(answer))
    else:
        _show(answer)
    if answer.error:
        complain(answer.error)
    end(Code.ERRORS if answer.error or (strict and answer.warnings) else Code.OK)


# --- what is asked ----------------------------------------------------------------------------


def _asked(value: str | None, file: Path | None) -> "JsonValue":
    """Return the value that is to be rendered.

    Raises:
        StdopsError: there is none, or two (SOP541).
    """
    if value is not None and file is None:
        return value
    if file is not None and value is None:
        return read_data(file) if file.suffix.lower() in _DATA else _text(file)
    what = "a value is missing" if value is None else "a value is given twice"
    raise StdopsError("SOP541", what, fix="give it as VALUE, or by --value-file")


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        what = "the file is not UTF-8 text"
        raise StdopsError("SOP541", what, where=str(file), fix="convert it to UTF-8") from None


def _variables(source: str, named: str, given: "Mapping[str, JsonValue]") -> "Variables":
    """Return the variables: a template's, with the values that are given, and those beside it."""
    from workflows.messages import bare_key

    declared: Variables = _declared(source, named) if source else {}
    values = {bare_key(name): value for name, value in given.items()}
    unknown = [key for key in values if source and key not in declared]
    if unknown:
        remark(f"the template has no variable {', '.join(map(repr, unknown))}; used all the same")
    pending = {key: _without_value(variable) for key, variable in declared.items()}
    return pending | {key: _with_value(key, value, declared) for key, value in values.items()}


def _declared(source: str, named: str) -> "Variables":
    """Return the variables of a template's root flow.

    Raises:
        StdopsError: there is no such template (SOP541), or several to choose from (SOP542).
    """
    from workers.cli.templates import choose, examine, find_source

    found = find_source(source)
    checked = examine(found)
    try:
        return choose(checked, named or found.template).flow.variables
    except StdopsError as error:
        if error.code != "SOP542":
            raise
        fix = "name the one you mean by --named"
        raise StdopsError(error.code, error.what, where=error.where, fix=fix) from None


def _without_value(variable: "Variable") -> "Variable":
    """Return a variable as it is here, where no plugin computes it."""
    is_lazy = variable.kind == "lazy"
    return variable.model_copy(update={"kind": "output"}) if is_lazy else variable


def _with_value(key: str, value: "JsonValue", declared: "Variables") -> "Variable":
    """Return a variable with a value that is given; a computed one is given what it computes."""
    from translator.plan import Literal, Variable
    from workflows.machine.verbs import retype

    variable = declared.get(key)
    if variable is None:
        return Variable(key=key, kind="plain", value=Literal(value=value))
    if variable.kind in ("lazy", "output"):
        kind = "lazy" if variable.kind == "lazy" else "plain"
        return variable.model_copy(update={"kind": kind, "value": Literal(value=value)})
    return retype(variable, value, declared)


# --- the answer -------------------------------------------------------------------------------


def _answered(asked: "JsonValue", variables: "Variables", mode: Mode) -> Answer:
    """Render the value; what a run would fail with ends the command."""
    import asyncio

    from activities.expressions import EvaluationError
    from translator.values import ReferenceCycle

    work = _tested if mode is Mode.CONDITION else _rendered
    try:
        return asyncio.run(work(asked, variables))
    except EvaluationError as failure:
        complain(str(failure))
    except ReferenceCycle as failure:
        complain(f"{failure}; let one of them be read by no other")
    raise typer.Exit(Code.ERRORS)


async def _rendered(asked: "JsonValue", variables: "Variables") -> Answer:
    from translator.values import classify

    value = classify(asked, variables)
    warnings: list[ExpressionWarning] = []
    found = await _resolved({"value": value}, variables, warnings)
    names = _references(asked, variables)
    return Answer(asked, _kind(value), names, found["value"], warnings)


async def _tested(asked: "JsonValue", variables: "Variables") -> Answer:
    from translator.values import RuleError, holds, operands, parse_condition

    if not isinstance(asked, str):
        raise StdopsError("SOP541", "a condition is a text", fix="write it as one")
    condition = parse_condition(asked, variables)
    if condition.rule is None:
        fix = "write comparisons such as ${n} >= 3, joined by 'and' or 'or'"
        raise StdopsError("SOP208", f"the condition does not parse: {condition.error}", fix=fix)
    values = {str(number): value for number, value in enumerate(operands(condition.rule))}
    warnings: list[ExpressionWarning] = []
    found = await _resolved(values, variables, warnings)
    sides = {value: found[name] for name, value in values.items()}
    names = _references(asked, variables)
    try:
        return Answer(asked, "condition", names, holds(condition.rule, sides), warnings)
    except RuleError as failure:
        error = f"the condition cannot be tested: {failure}; its gateway would fail"
        return Answer(asked, "condition", names, None, warnings, error)


async def _resolved(
    values: "Mapping[str, Value]", variables: "Variables", warnings: "list[ExpressionWarning]"
) -> "dict[str, JsonValue]":
    """Resolve values in a sandbox of this command's own; their place needs no name."""
    from activities.contract import Unresolved
    from activities.expressions import Sandbox
    from translator.values import closure

    needed = closure(values.values(), variables.get)
    unresolved = Unresolved(values=dict(values), variables=needed)
    async with Sandbox(processes=1) as sandbox:
        found = await sandbox.evaluate(unresolved, _as_given, warnings=warnings)
    own = {f"input {name!r}" for name in values}
    warnings[:] = [w._replace(place="" if w.place in own else w.place) for w in warnings]
    return found


async def _as_given(_code: str, value: "JsonValue") -> "JsonValue":
    return value


def _references(asked: "JsonValue", variables: "Variables") -> list[str]:
    """Return the variables that a value refers to; builtins are none."""
    from translator.values import BUILTINS, MODULES, references

    plain = BUILTINS | MODULES
    return [name for name in references(asked) if name in variables or name not in plain]


def _kind(value: "Value") -> str:
    from translator.plan import DictValue, Expression, ListValue, Ref, Splice

    kinds: Mapping[type, str] = {
        Ref: "reference",
        Splice: "splice",
        Expression: "expression",
        ListValue: "array",
        DictValue: "object",
    }
    return kinds.get(type(value), "literal")


# --- printing ---------------------------------------------------------------------------------


def _as_data(answer: Answer) -> dict[str, Any]:
    return {
        "value": answer.value,
        "kind": answer.kind,
        "references": answer.references,
        "result": answer.result,
        "type": _type(answer.result),
        "warnings": [
            {"expression": each.expression, "reason": _reason(each), "fix": each.fix}
            for each in answer.warnings
        ],
    }


def _show(answer: Answer) -> None:
    import json

    result = answer.result
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    typer.echo(text)
    rows = [("type", _type(result)), ("kind", f"{answer.kind}: {_KINDS[answer.kind]}")]
    if answer.references:
        rows.append(("refers to", ", ".join(answer.references)))
    for each in answer.warnings:
        rows += _warning_rows(each)
    for name, told in rows:
        typer.echo(f"{typer.style(f'{name:<12}', dim=True)}{told}")


def _warning_rows(warning: "ExpressionWarning") -> Sequence[tuple[str, str]]:
    saw = ", ".join(f"{key} = {value}" for key, value in warning.seen.items())
    rows = [("stays text", warning.expression), ("  because", f"it {_reason(warning)}")]
    return [*rows, *([("  with", saw)] if saw else []), ("  to mend", warning.fix)]


def _reason(warning: "ExpressionWarning") -> str:
    return f"{warning.reason} (in {warning.place})" if warning.place else warning.reason


def _type(value: "JsonValue") -> str:
    """Return the type of a value, as JSON calls it."""
    return _TYPES[type(value)]
