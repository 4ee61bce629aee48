"""Lazy variables that need nothing from outside: what each custom type makes of its value.

Pure: the clock is handed in. A value that cannot be used raises ValueError with the reason, which
fails the node that reads the variable. What the real system gives as an object with attributes is
an object here too; `_pipeline_var_str_value` holds its text for places that need one.

Source: bk-sops variable classes; differs: order is that of first appearance everywhere.
"""

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias, cast
from zoneinfo import ZoneInfo

from pydantic import JsonValue

from translator.values import OBJECT_TEXT

Json: TypeAlias = dict[str, JsonValue]
Transform: TypeAlias = Callable[[JsonValue, datetime], JsonValue]

DEFAULT_ZONE: Final = "Asia/Shanghai"

_MOMENT: Final = "%Y-%m-%d %H:%M:%S"
_DATE_UNITS: Final = {"year": "%Y", "month": "%m", "day": "%d"}
_TIME_UNITS: Final = {"hour": "%H", "minute": "%M", "second": "%S"}


def transform(
    custom_type: str, value: JsonValue, meta: JsonValue = None, *, now: datetime
) -> JsonValue:
    """Return what a lazy variable of `custom_type` exposes for its rendered `value`.

    `meta` is the variable's definition in the template, for the types that choose from options;
    `now` is an aware time.

    Raises:
        ValueError: the type is not one of `PURE_TYPES`, or the value cannot be used.
    """
    if custom_type == "text_value_select":
        return _options_chosen(value, meta)
    if custom_type not in _TRANSFORMS:
        known = ", ".join(sorted(PURE_TYPES))
        raise ValueError(f"variable type {custom_type!r} is not computed here; these are: {known}")
    return _TRANSFORMS[custom_type](value, now)


# --- choices -----------------------------------------------------------------------------------


def _chosen(value: JsonValue, _now: datetime) -> JsonValue:
    """A list of chosen items becomes one text."""
    return _joined(value) if isinstance(value, list) else value


def _options_chosen(value: JsonValue, meta: JsonValue) -> JsonValue:
    """Return values and texts of the options, chosen and not, each joined by commas."""
    wrapped = isinstance(value, dict) and "info_value" in value
    chosen = _object(value).get("info_value") if wrapped else value
    options = _options(_object(value).get("meta_data") if wrapped else _items_text(meta))
    selected = [str(each) for each in (chosen if isinstance(chosen, list) else [chosen])]
    others = [option for option in options if option not in selected]
    return {
        "value": _joined(selected),
        "text": _joined(options[each] for each in selected if options.get(each)),
        "value_not_selected": _joined(others),
        "text_not_selected": _joined(options[each] for each in others if options[each]),
    }


def _items_text(meta: JsonValue) -> JsonValue:
    definition = _object(_object(meta).get("value"))
    return definition.get("remote_data") or definition.get("items_text") or []


def _options(given: JsonValue) -> dict[str, str]:
    """Read options, a list of `{text, value}` or its JSON text, as text by value."""
    options = _rows(_from_json(given, "options"))
    return {str(each.get("value", "")): str(each.get("text") or "") for each in options}


# --- tables ------------------------------------------------------------------------------------


def _data_table(value: JsonValue, _now: datetime) -> JsonValue:
    """Return the columns of a list of rows, each as a list and as lines."""
    columns = _columns(_rows(_from_json(value, "data table")))
    text = f"DataTable with {','.join(columns)} Fields"
    return {**_with_flat(columns, "\n"), OBJECT_TEXT: text}


def _set_allocation(value: JsonValue, _now: datetime) -> JsonValue:
    """Return the attributes of allocated sets and the hosts of their modules."""
    given = _object(value)
    separator = str(given.get("separator") or ",")
    sets = _rows(given.get("data") or [])
    attributes = _columns({k: v for k, v in each.items() if k != "__module"} for each in sets)
    modules = [_modules_of(each) for each in sets]
    hosts = [
        (ip, f"{each.get('bk_set_name', '')}>{module}")
        for each, named in zip(sets, modules, strict=True)
        for module, ips in named.items()
        for ip in ips
    ]
    names = ",".join(str(each.get("bk_set_name", "")) for each in sets)
    return {
        **_with_flat(attributes, separator),
        "set_count": len(sets),
        "_module": [
            {name: separator.join(ips) for name, ips in named.items()} for named in modules
        ],
        "flat__ip_list": separator.join(dict.fromkeys(ip for ip, _ in hosts)),
        "flat__verbose_ip_list": separator.join(ip for ip, _ in hosts),
        "flat__verbose_ip_module_list": separator.join(module for _, module in hosts),
        OBJECT_TEXT: f"Allocate {len(sets)} sets with names: {names}",
    }


def _modules_of(allocated: Json) -> dict[str, list[str]]:
    modules = _rows(allocated.get("__module") or [])
    return {
        str(each.get("key", "")): [str(ip) for ip in _list(each.get("value"))] for each in modules
    }


def _rows(value: JsonValue) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ValueError(f"not a list of objects: {_short(value)}")
    return cast("list[Json]", value)


def _columns(rows: Iterable[Json]) -> dict[str, list[JsonValue]]:
    """Return the cells by column, both in order of first appearance; a missing cell is left out."""
    columns: dict[str, list[JsonValue]] = {}
    for row in rows:
        for name, cell in row.items():
            columns.setdefault(name, []).append(cell)
    return columns


def _with_flat(columns: Mapping[str, Sequence[JsonValue]], separator: str) -> Json:
    """Return each column as a list, and under `flat__<name>` as one text."""
    made: Json = {}
    for name, cells in columns.items():
        made[name] = [*cells]
        made[f"flat__{name}"] = separator.join(str(cell) for cell in cells)
    return made


# --- times -------------------------------------------------------------------------------------


def _without_seconds(value: JsonValue, _now: datetime) -> JsonValue:
    """Cut `:SS` off a time, or whatever the last three characters are."""
    return _text(value, "a time such as 14:45:30")[:-3]


def _formatted(value: JsonValue, _now: datetime) -> JsonValue:
    """Write a given moment in the format wished for."""
    given = _object(value)
    text = str(given.get("datetime", value))
    try:
        moment = datetime.strptime(text, _MOMENT)  # noqa: DTZ007  a wall clock time, zone unknown
    except ValueError:
        raise ValueError(f"not a time such as 2020-10-10 14:45:00: {_short(text)}") from None
    return moment.strftime(str(given.get("datetime_format") or _MOMENT).strip())


def _current_units(value: JsonValue, now: datetime) -> JsonValue:
    """Write the present time, reduced to the units wished for."""
    units = _list(_object(value).get("time_unit"))
    date = "-".join(form for unit, form in _DATE_UNITS.items() if unit in units)
    time = ":".join(form for unit, form in _TIME_UNITS.items() if unit in units)
    return _in_zone(value, now).strftime(f"{date} {time}".strip())


def _current_formatted(value: JsonValue, now: datetime) -> JsonValue:
    wish = str(_object(value).get("time_format") or _MOMENT)
    return _in_zone(value, now).strftime(wish.strip())


def _in_zone(value: JsonValue, now: datetime) -> datetime:
    name = str(_object(value).get("time_zone") or DEFAULT_ZONE)
    try:
        return now.astimezone(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; use a name such as {DEFAULT_ZONE}") from None


# --- small things ------------------------------------------------------------------------------


def _unchanged(value: JsonValue, _now: datetime) -> JsonValue:
    return value


def _joined(items: Iterable[JsonValue]) -> str:
    return ",".join(str(item) for item in items)


def _object(value: JsonValue) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _text(value: JsonValue, what: str) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"not {what}: {_short(value)}")


def _from_json(value: JsonValue, what: str) -> JsonValue:
    """Read JSON text; anything else is what it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(f"{what}: not JSON: {_short(value)}") from None


def _short(value: JsonValue) -> str:
    return textwrap.shorten(repr(value), 60, placeholder="...")


_TRANSFORMS: Final[Mapping[str, Transform]] = {
    "select": _chosen,
    "datatable": _data_table,
    "time": _without_seconds,
    "format_support_datetime": _formatted,
    "current_time": _current_units,
    "format_support_current_time": _current_formatted,
    "bk_user_selector": _unchanged,
    "password": _unchanged,
    "set_allocation": _set_allocation,
}
PURE_TYPES: Final = frozenset({*_TRANSFORMS, "text_value_select"})
"""The custom types that `transform` knows."""
