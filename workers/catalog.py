"""The plugins of this installation in the form that the translator's checks ask for."""

from functools import lru_cache
from typing import final

from activities.registry import Registry
from translator.rules.context import PluginFacts, PluginInput


@final
class RegistryCatalog:
    """A `Catalog` on a registry; facts are worked out once for each plugin."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._facts = lru_cache(maxsize=None)(self._read)

    def plugin(self, code: str, version: str) -> PluginFacts | None:
        """Return the facts of one version of a plugin, or None when it is unknown."""
        return self._facts(code, version)

    def versions(self, code: str) -> tuple[str, ...]:
        """Return the known versions of `code`; empty when the code is unknown."""
        return self._registry.versions(code)

    def codes(self) -> tuple[str, ...]:
        """Return all known plugin codes, in alphabetical order."""
        return self._registry.codes()

    def lazy_codes(self) -> tuple[str, ...]:
        """Return the known types of lazy variables, in alphabetical order."""
        return self._registry.lazy_codes()

    def _read(self, code: str, version: str) -> PluginFacts | None:
        found = self._registry.facts(code, version)
        if found is None:
            return None
        return PluginFacts(
            code=found.code,
            version=found.version,
            name=found.name,
            inputs=tuple(PluginInput(*each) for each in found.inputs),
            outputs=found.outputs,
            open_inputs=found.open_inputs,
        )
