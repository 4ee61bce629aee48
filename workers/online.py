"""What remote plugins say of themselves, for checks that may ask: `stdops lint --online`."""

import asyncio
from datetime import UTC, datetime
from typing import Final, final

from pydantic import JsonValue

from activities.registry import type_of
from activities.remote import TABLE, Detail, Memory, Remote, RemoteSettings, Way
from activities.sdk import PluginError
from activities.shelf import Shelf
from stdops import Diagnostic
from translator.rules.context import InputType, PluginFacts, PluginInput
from workers.settings import Settings

_OWN: Final = tuple(
    PluginInput(n, "string", required=True) for n in ("plugin_code", "plugin_version")
)


@final
class RemoteFacts:
    """Asks each remote plugin once; `troubles` are those that gave no answer.

    Raises:
        StdopsError: the settings of remote plugins are wrong (SOP431).
    """

    def __init__(self, settings: Settings) -> None:
        self.troubles: list[Diagnostic] = []
        self._settings: Final = settings
        self._remote: Final = Shelf(settings.plugins).settings(TABLE, RemoteSettings)
        self._known: dict[tuple[str, str], PluginFacts | None] = {}

    def __call__(self, code: str, version: str) -> PluginFacts | None:
        """Return the facts of a remote plugin, None where they cannot be had."""
        if (code, version) not in self._known:
            self._known[code, version] = self._ask(code, version)
        return self._known[code, version]

    def _ask(self, code: str, version: str) -> PluginFacts | None:
        try:
            detail = asyncio.run(self._detail(code, version))
        except PluginError as error:
            what = f"remote plugin {code!r} {version!r} cannot be asked: {error.what}"
            fix = "mend what it names, or check without --online"
            self.troubles.append(Diagnostic("SOP432", "warning", what, fix))
            return None
        return facts_of(code, version, detail)

    async def _detail(self, code: str, version: str) -> Detail:
        from workers.worker import http_client

        async with http_client(self._settings) as http:
            way = Way(http, self._remote, Memory(), datetime.now(UTC))
            return await (await Remote.find(way, code, version)).detail()


def facts_of(code: str, version: str, detail: Detail) -> PluginFacts:
    """Return the facts that a remote plugin's own description gives."""
    schema = detail.inputs
    own = (
        PluginInput(name, _type_of(field, schema.definitions), name in schema.required)
        for name, field in schema.properties.items()
    )
    return PluginFacts(code, version, code, (*_OWN, *own), (), open_inputs=False)


def _type_of(
    field: dict[str, JsonValue], definitions: dict[str, dict[str, JsonValue]]
) -> InputType:
    """Return the type of an input; a reference that leads nowhere may be anything."""
    try:
        return type_of(field, {"$defs": {**definitions}})
    except KeyError:
        return "any"
