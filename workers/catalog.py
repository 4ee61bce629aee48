"""The plugins of this installation in the form that the translator's checks ask for."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias, final

from pydantic import JsonValue

from activities.registry import Registry
from translator.rules.context import PluginFacts, PluginInput

AskRemote: TypeAlias = Callable[[str, str], PluginFacts | None]

REMOTE: Final = "remote_plugin"
"""The plugin that calls others, which its inputs name."""


@final
class RegistryCatalog:
    """A `Catalog` on a registry; facts are worked out once for each plugin.

    `remote` tells of a remote plugin by code and version; without it those are not looked into.
    """

    def __init__(self, registry: Registry, remote: AskRemote | None = None) -> None:
        self._registry = registry
        self._remote = remote
        self._facts = lru_cache(maxsize=None)(self._read)

    def plugin(self, code: str, version: str) -> PluginFacts | None:
        """Return the facts of one version of a plugin, or None when it is unknown."""
        return self._facts(code, version)

    def called(
        self, code: str, version: str, inputs: Mapping[str, JsonValue]
    ) -> PluginFacts | None:
        """Return the facts of what a task calls: of a remote plugin its own, where it is asked."""
        found = self.plugin(code, version)
        named = inputs.get("plugin_code"), inputs.get("plugin_version")
        match named:
            case str(own), str(number) if found and self._remote and code == REMOTE:
                return self._remote(own, number) or found
            case _:
                return found

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
