"""The second demo: a change of web hosts through a BlueKing platform, here a fake one.

Alarms are shielded, hosts are taken out of service, files are pushed, people approve. The disk of
one host is full, so that the push fails there.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import typer
from pydantic import JsonValue

from workers.demo.showing import Told
from workers.fake_blueking import Served

if TYPE_CHECKING:
    from workers.client import Runs, StartRequest

FAILING: Final = "push"
FULL: Final = "10.0.1.3"
"""The host whose disk is full."""

APPROVAL_S: Final = 2.0
_VERSION: Final = "2.4.0"
_WEB: Final = ("10.0.1.1", "10.0.1.2", FULL)


class Change:
    """A new version for the web hosts of a business."""

    def __init__(self, served: Served, receiver_port: int) -> None:
        self.file: Final = "blueking.json"
        self.limit_s: Final = 110.0
        self.settings: Final[Mapping[str, Any]] = served.worker_settings(receiver_port)
        world = served.platform.world
        world.pace.approval_s = APPROVAL_S
        self._full: Final = next(host for host in world.hosts.values() if host.ip == FULL)
        self._full.fault = "disk"
        self._served: Final = served

    def request(self) -> "StartRequest":
        """Return what to start."""
        from workers.client import StartRequest

        return StartRequest(
            template="blueking",
            inputs={"version": _VERSION},
            operator="admin",
            memo={"template": "blueking", "name": "blueking"},
            summary=f"web {_VERSION} to the shop",
            details="blueking version 1, started by demo",
        )

    def teach(self, told: Told) -> None:
        """Say why the run stands, and the ways to move it."""
        name, env = told.started.workflow_id, told.env
        freed = f'{{"ip": "{FULL}", "fault": "none"}}'
        typer.secho(f"\nThe push has failed: the disk of {FULL} is full. Mend it:", bold=True)
        typer.echo("\n  first         free the disk, in a second terminal")
        typer.echo(f"                curl -d '{freed}' {self._served.url}/_fake/hosts")
        typer.echo("\n  then          on the page: More Actions > Send an Update, name retry, with")
        typer.echo(f'                {{"node": "{FAILING}"}}')
        typer.echo(f"                or there: {env}stdops retry {name} {FAILING}")
        typer.echo(f"\n  the platform  {self._served.url}/_fake/state")

    async def mend(self, runs: "Runs", name: str) -> None:
        """Free the disk and push again."""
        self._full.fault = ""
        await runs.verb(name, "retry", {"node": FAILING, "operator": "admin"})
        typer.echo(f"          free the disk of {FULL}, retry {FAILING}")

    def problem(self, outputs: Mapping[str, JsonValue]) -> str:
        """Say what is wrong with the outputs, or with what the platform has been told."""
        world = self._served.platform.world
        web = next(m.id for m in world.modules.values() if m.name == "web")
        strays = [h.ip for h in world.hosts.values() if h.ip in _WEB and h.modules != [web]]
        if strays:
            return f"hosts are not back in service: {', '.join(strays)}"
        if [row["is_enabled"] for row in world.shields.values()] != [False]:
            return "the alarms are still shielded"
        if not world.messages:
            return "nobody was told"
        return "" if outputs.get("approved") == "通过" else f"the outputs are {outputs}"
