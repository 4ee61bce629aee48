"""Attributes of CMDB's objects: values as people write them, cast to what CMDB wants.

Source: plugins' reference, section 3.3; differs: the text `false` is no true, and a choice that is
none is told together with those that there are.
"""

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import JsonValue

from activities.blueking.client import BlueKing, Json, as_rows
from activities.blueking.hosts import Scope
from activities.calls import PluginError

Kind = Literal["host", "set", "module"]

CAPACITY: Final = "bk_capacity"


async def attributes(bk: BlueKing, scope: Scope, kind: Kind) -> list[Json]:
    """Return the attributes of a kind of object."""
    params: Json = {"bk_obj_id": kind, "bk_supplier_account": scope.supplier}
    return await bk.rows("cc.search_object_attribute", params)


def chosen(found: list[Json], attribute: str, value: JsonValue, label: str) -> JsonValue:
    """Return the id of the option that a value names.

    Raises:
        PluginError: the attribute has no such option.
    """
    options = _options(found, attribute)
    return _picked({str(each.get("name")).strip(): each["id"] for each in options}, value, label)


def checked(found: list[Json], attribute: str, value: JsonValue, label: str) -> JsonValue:
    """Return the id of the option whose id a value is.

    Raises:
        PluginError: the attribute has no such option.
    """
    options = _options(found, attribute)
    return _picked({str(each["id"]): each["id"] for each in options}, value, label)


def capacity(value: JsonValue) -> int:
    """Return a set's capacity.

    Raises:
        PluginError: it is no whole number.
    """
    try:
        return int(str(value).strip())
    except ValueError:
        raise PluginError("集群容量必须为整数") from None


def cast_to(found: list[Json], attribute: str, value: JsonValue) -> JsonValue:
    """Return a value as its attribute's type wants it.

    Raises:
        PluginError: it is not of that type.
    """
    match _attribute(found, attribute).get("bk_property_type"):
        case "int":
            return _whole(attribute, value)
        case "bool":
            return value if isinstance(value, bool) else str(value).strip().lower() == "true"
        case _:
            return value


def cast_row(found: list[Json], row: Mapping[str, JsonValue]) -> Json:
    """Return a row of attributes, each as its type wants it."""
    return {key: cast_to(found, key, value) for key, value in row.items()}


def _options(found: list[Json], attribute: str) -> list[Json]:
    return [each for each in as_rows(_attribute(found, attribute).get("option")) if "id" in each]


def _picked(options: Mapping[str, JsonValue], value: JsonValue, label: str) -> JsonValue:
    wanted = str(value).strip()
    if wanted not in options:
        known = ", ".join(options) or "-"
        raise PluginError(
            f"{label}校验失败，请重试并修改为正确的{label} ({wanted!r}; 可选: {known})"
        )
    return options[wanted]


def _attribute(found: list[Json], attribute: str) -> Json:
    named = [each for each in found if each.get("bk_property_id") == attribute]
    return named[0] if named else {}


def _whole(attribute: str, value: JsonValue) -> int:
    try:
        return int(str(value).strip())
    except ValueError:
        raise PluginError(f"{attribute} 的值 {value!r} 必须为整数") from None
