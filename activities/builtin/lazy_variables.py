"""The lazy variables that need nothing from outside: each custom type computed by `variables`."""

from pydantic import JsonValue

from activities.builtin.variables import PURE_TYPES, transform
from activities.sdk import LazyVariable, Lookup, PluginError, lazy_variable


def _computed(custom_type: str) -> LazyVariable:
    @lazy_variable(custom_type)
    async def look_up(lookup: Lookup) -> JsonValue:
        try:
            return transform(custom_type, lookup.value, now=lookup.now())
        except ValueError as error:
            raise PluginError(str(error)) from error

    return look_up


PURE_VARIABLES: tuple[LazyVariable, ...] = tuple(map(_computed, sorted(PURE_TYPES)))
