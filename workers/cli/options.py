"""What commands share: their options, their epilogs, and how values on a command line are read."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, cast

import typer

from stdops import StdopsError
from workers.cli.output import MEANINGS, Code

if TYPE_CHECKING:
    from pydantic import JsonValue

JsonFlag: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
PrintTemporal: TypeAlias = Annotated[
    bool,
    typer.Option("--print-temporal", help="Print the plain `temporal` command for it instead."),
]
StrictFlag: TypeAlias = Annotated[
    bool,
    typer.Option("--strict", help="Fail a node with a ${...} that cannot be evaluated."),
]
Operator: TypeAlias = Annotated[str, typer.Option(help="Who asks; your user name by default.")]
Reason: TypeAlias = Annotated[str, typer.Option(help="Why; it stands in the run's journal.")]
SetValues: TypeAlias = Annotated[
    list[str],
    typer.Option("--set", metavar="K=V", help="A value: K=text, or K:=JSON. Several may be given."),
]
InputsFile: TypeAlias = Annotated[
    Path | None, typer.Option("--inputs", metavar="FILE", help="Values in a JSON or YAML object.")
]
ProjectFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="FILE",
        help="The run's project, a JSON or YAML object: fields of _system, and env.",
    ),
]
RunId: TypeAlias = Annotated[str, typer.Argument(metavar="RUN", help="The run's workflow id.")]
NodeName: TypeAlias = Annotated[
    str, typer.Argument(metavar="NODE", help="A node's path, id, name, or how its id begins.")
]
ChosenTemplate: TypeAlias = Annotated[
    str, typer.Argument(metavar="TEMPLATE", help="Which template of a file with several.")
]

_SET_FIX: Final = "write K=text, or K:=JSON for a number, list or object"


def epilog(*examples: str, codes: Sequence[Code] = ()) -> str:
    """Return what stands below a command's options: examples, and the exit codes it has."""
    listed = [Code.OK, *codes]
    lines = ["\b", "Examples:", *(f"  {example}" for example in examples), "", "\b", "Exit codes:"]
    return "\n".join([*lines, *(f"  {code.value:<4}{MEANINGS[code]}" for code in listed)])


def read_values(pairs: Iterable[str]) -> "dict[str, JsonValue]":
    """Return the values of `K=text` and `K:=JSON`; every wrong one is told.

    Text stays text: a version such as 1.10 must not become a number by itself.

    Raises:
        StdopsError: some are neither (SOP541).
    """
    values: dict[str, JsonValue] = {}
    problems: list[str] = []
    for pair in pairs:
        key, found, text = pair.partition("=")
        is_json = key.endswith(":")
        key = key.removesuffix(":").strip()
        if not found or not key:
            problems.append(f"{pair!r} is no K=V")
            continue
        try:
            values[key] = json.loads(text) if is_json else text
        except ValueError as error:
            problems.append(f"the value of {key!r} is no JSON ({error})")
    if problems:
        raise StdopsError("SOP541", "; ".join(problems), where="--set", fix=_SET_FIX)
    return values


def read_inputs_file(file: Path | None) -> "dict[str, JsonValue]":
    """Return the object in a JSON or YAML file, empty for None.

    Raises:
        StdopsError: it holds something else (SOP541).
        OSError: it cannot be read.
    """
    if file is None:
        return {}
    data = read_data(file)
    if not isinstance(data, dict):
        what = f"one object is expected, not {type(data).__name__}"
        raise StdopsError("SOP541", what, where=str(file), fix='write {"variable": value}')
    given = cast("dict[object, JsonValue]", data)  # isinstance cannot know the types
    return {str(key): value for key, value in given.items()}


def read_data(file: Path) -> Any:  # Any: JSON enters here
    """Return what a JSON or YAML file holds.

    Raises:
        StdopsError: it is neither (SOP541).
        OSError: it cannot be read.
    """
    import yaml

    try:
        text = file.read_text("utf-8")
        return json.loads(text) if text.lstrip()[:1] in "{[" else yaml.safe_load(text)
    except UnicodeDecodeError:
        what = "the file is not UTF-8 text"
    except yaml.YAMLError as error:
        what = f"the file is neither JSON nor YAML: {' '.join(str(error).split())}"
    except ValueError as error:
        what = f"the file is not valid JSON: {error}"
    raise StdopsError("SOP541", what, where=str(file), fix="mend it, or use --set")
