"""The catalogue: every BlueKing component and version, as bk-sops shows it, and what serves it.

`catalogue.json` holds one row a component and version: names, group, inputs, outputs. The modules
of the families say what a row does; a row that nothing serves is a mistake that a test finds.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final, Literal, NamedTuple, Optional, TypeVar, cast

from aiolimiter import AsyncLimiter
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic.config import JsonDict

from activities.blueking.client import BlueKing, Identity
from activities.blueking.config import BlueKingSettings
from activities.blueking.form import Form, Written
from activities.blueking.patterns import NUMBER, PATTERNS
from activities.calls import Call, Inputs, Lookup, Secret
from activities.sdk import AnyPlugin, plugin

SETTINGS: Final = "blueking"
"""Name of the settings' table: `[plugins.blueking]`."""

ModelT = TypeVar("ModelT", bound=BaseModel)
BUTTONS: Final = ("button_refresh", "button_refresh_2", "add_files")
"""Buttons of JOB's forms, which leave their keys in templates; nothing reads them."""

FieldType = Literal["string", "integer", "boolean", "array", "object", "any"]


class InputRow(NamedTuple):
    """An input as the form has it; `choices` where it is a choice.

    `required`: the form demands it, and nothing stands for it where an older template lacks it, as
    the project's business and "no" do.
    """

    type: FieldType
    required: bool = False
    choices: tuple[str | int, ...] = ()
    secret: bool = False


class Component(NamedTuple):
    """One component and version; `poll_s` is the seconds between two looks, 0 for none."""

    code: str
    version: str
    name: str
    english: str
    group: str
    inputs: Mapping[str, InputRow]
    outputs: Mapping[str, FieldType]
    poll_s: int = 0


@cache
def components() -> Mapping[tuple[str, str], Component]:
    """Return every component by code and version."""
    text = files("activities.blueking").joinpath("catalogue.json").read_text("utf-8")
    rows = TypeAdapter(list[Component]).validate_json(text)
    return {(row.code, row.version): row for row in rows}


def component(code: str, version: str) -> Component:
    """Return one component; which must be there."""
    return components()[code, version]


def served(
    code: str,
    version: str,
    call: Any,  # Any: a coroutine function of `Call[Form]`, which `plugin` checks
    *,
    idempotent: bool = False,
    timeout_s: int = 300,
) -> AnyPlugin:
    """Return the plugin that serves a row of the catalogue by `call`.

    `call` is `async def call(call: Call[Form]) -> Written | None`; hooks are added to the result.
    """
    row = component(code, version)
    make = plugin(
        code,
        version=version,
        name=row.name,
        group=row.group,
        idempotent=idempotent,
        timeout_s=timeout_s,
        inputs=inputs_model(row),
        outputs=outputs_model(row),
        settings={SETTINGS: BlueKingSettings},
    )
    return make(call)


def inputs_model(row: Component) -> type[Form]:
    """Return the model of a component's inputs; at run time everything may be missing.

    The real system checks nothing when it runs: what is required, and which type a field has, is
    for forms and for the checks at import.
    """
    buttons = dict.fromkeys(BUTTONS, InputRow("any")) if row.code.startswith("job_") else {}
    kinds = {
        key: _annotation(each, PATTERNS.get(key)) for key, each in {**row.inputs, **buttons}.items()
    }
    required: list[JsonValue] = [key for key, each in row.inputs.items() if each.required]
    extra: JsonDict = {"required": required} if required else {}
    return _model(Form, f"{row.code}_{row.version}", kinds, extra)


def outputs_model(row: Component) -> type[Written]:
    """Return the model of what a component declares to write."""
    kinds = {key: _annotation(InputRow(kind)) for key, kind in row.outputs.items()}
    return _model(Written, f"{row.code}_{row.version}_outputs", kinds, {})


def blueking(call: Call[Inputs] | Lookup) -> BlueKing:
    """Return the platform's APIs for a step, as the user on whose behalf the run acts.

    Raises:
        ShelfError: the worker's settings of BlueKing are wrong.
    """
    settings = call.shelf.settings(SETTINGS, BlueKingSettings)
    language = str(call.context.get("language") or "")
    pace = call.shelf.shared("blueking.pace", lambda: _pace(settings.calls_per_second))
    return BlueKing(call.http, settings, Identity(call.executor, language), pace)


def _pace(calls_per_second: float) -> AsyncLimiter:
    """Return the limit that all steps of a worker share: calls go out one by one, evenly apart.

    The bucket holds one call, because one that held a second's would let two seconds' through
    within one.
    """
    return AsyncLimiter(1, time_period=1 / calls_per_second)


def _model(
    base: type[ModelT], name: str, kinds: Mapping[str, Any], extra: JsonDict
) -> type[ModelT]:
    """Return a model with a field for each key, which pydantic builds when it is first used.

    Made as a class statement would make it: there are hundreds, and each start pays for all.
    """
    fields = {f"field_{at}": key for at, key in enumerate(kinds)}
    body: dict[str, Any] = {
        "__module__": __name__,
        "__qualname__": name,
        "__annotations__": {field: kinds[key] for field, key in fields.items()},
        "model_config": ConfigDict(json_schema_extra=extra, defer_build=True),
        **{field: Field(default=None, alias=key) for field, key in fields.items()},
    }
    return cast("type[ModelT]", type(base)(name, (base,), body))


def _annotation(row: InputRow, pattern: str | None = None) -> Any:
    if row.secret:
        return Optional[Secret]  # noqa: UP045  `Secret` is an annotation, not a class
    is_open = row.type == "any" or pattern == NUMBER
    schema: dict[str, Any] = {} if is_open else {"type": row.type}
    if row.choices:
        choices = {"enum": list(row.choices)}
        schema |= {"items": choices} if row.type == "array" else choices
    if pattern and not row.choices:
        schema["pattern"] = pattern
    return Annotated[JsonValue, WithJsonSchema(schema)]
