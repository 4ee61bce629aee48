"""The first demo: a release over HTTP that fails on purpose, and how a person mends it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import typer
from pydantic import JsonValue

from workers.demo.showing import Told, read_template
from workers.demo.target import Target

if TYPE_CHECKING:
    from workers.client import Runs, StartRequest

FILE: Final = "release.json"
FAILING: Final = "rollout"
URL_INPUT: Final = "bk_http_request_url"
DETOUR: Final = "/deploy/standby"

_EXPECTED: Final = {
    "version": "2.4.0",
    "checked": {"version": "2.4.0", "released": False},
    "rollout": {"deployed": "standby", "release": 2},
    "rounds": 3,
}


def template() -> bytes:
    """Return the demo's template, two flows in bk-sops's own format."""
    return read_template(FILE)


class Release:
    """A release to a small service, which refuses it until it is mended or gone round."""

    def __init__(self, target: Target) -> None:
        self.file: Final = FILE
        self.limit_s: Final = 55.0
        self.settings: Final[Mapping[str, Any]] = {}
        self._target: Final = target

    def request(self) -> "StartRequest":
        """Return what to start."""
        from workers.client import StartRequest

        return StartRequest(
            template="release",
            inputs={"target": self._target.url, "environment": "production"},
            operator="demo",
            memo={"template": "release", "name": "release"},
            summary="release 2.4.0 to production",
            details="release version 1, started by demo",
        )

    def teach(self, told: Told) -> None:
        """Say why the run stands, and the ways to move it."""
        name, env, detour = told.started.workflow_id, told.env, self._target.url + DETOUR
        typer.secho("\nThe rollout has failed, and the run waits for you. Mend it:", bold=True)
        typer.echo("\n  on the page   More Actions > Send an Update, name retry, with the input")
        typer.echo(f'                {{"node": "{FAILING}", "set": {{"{URL_INPUT}": "{detour}"}}}}')
        typer.echo("\n  or here       in a second terminal, go round what is broken")
        typer.echo(f"                {env}stdops retry {name} {FAILING} --set {URL_INPUT}={detour}")
        typer.echo("\n  or for real   repair the service, then try again as it was")
        typer.echo(f"                curl -X POST {self._target.url}/mend")
        typer.echo(f"                {env}stdops retry {name} {FAILING}")

    async def mend(self, runs: "Runs", name: str) -> None:
        """Go round what is broken."""
        changed: dict[str, JsonValue] = {URL_INPUT: self._target.url + DETOUR}
        payload: dict[str, JsonValue] = {"node": FAILING, "set": changed, "operator": "demo"}
        await runs.verb(name, "retry", payload)
        typer.echo(f"          retry {FAILING} with another address")

    def problem(self, outputs: Mapping[str, JsonValue]) -> str:
        """Say what is wrong with how the run has ended."""
        return "" if outputs == _EXPECTED else f"the outputs are {outputs}"
