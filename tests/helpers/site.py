"""A server with its Web UI, a worker and two templates: what the browser's tests look at.

`release` is the demo's, whose rollout fails until it is mended. `upgrade` is small and can stand in
every way: two tasks fail at once, a person is asked to confirm, no branch may hold, a timer waits
for the night.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from activities.registry import discover
from tests.helpers import build
from translator.compile import compile_template
from translator.plan import Plan
from translator.template import SourceTask, Tree
from workers.cli.wiring import Connection, everything
from workers.client import Started, StartRequest
from workers.demo.release import FILE, template
from workers.demo.target import Target
from workers.importing import load
from workers.server import EmbeddedServer
from workers.settings import Settings
from workers.store import NewTemplate, Store

LIST_S: Final = 60.0
"""A list is told of a run's state some time after the run has it."""
UPGRADE: Final = "upgrade"
NAMES: Final[Mapping[str, str]] = {
    "announce": "Announce",
    "web": "Upgrade web",
    "db": "Migrate database",
    "confirm": "Confirm the switch",
    "xor-when": "When?",
    "night": "Wait for the night",
    "switch": "Switch over",
    "xor-when-night": "tonight",
    "xor-when-switch": "now",
}


@dataclass(frozen=True, slots=True)
class Site:
    """The pages of a server, and the way in to start runs there."""

    connection: Connection
    ui_url: str

    @property
    def form(self) -> str:
        """The address of the form that starts a run."""
        return f"{self._workflows}/start-workflow"

    async def listed(self, query: str, *runs: str) -> str:
        """Return the address of the list of runs that a query finds, once it finds these."""
        async with asyncio.timeout(LIST_S):
            while not {*runs} <= await self._found(query):
                pass  # each answer takes its time
        return f"{self._workflows}?query={quote(query)}"

    async def _found(self, query: str) -> set[str]:
        return {found.id async for found in self.connection.client.list_workflows(query)}

    @property
    def _workflows(self) -> str:
        return f"{self.ui_url}/namespaces/default/workflows"

    async def start(self, target: Target, run: str = "") -> Started:
        """Start the release to `target`, which refuses the rollout until it is mended."""
        inputs: Mapping[str, JsonValue] = {"target": target.url, "environment": "production"}
        return await self._start("release", inputs, run)

    async def upgrade(self, target: Target, when: str, run: str = "") -> Started:
        """Start the upgrade `tonight`, `now`, or at a time for which it has no branch."""
        return await self._start(UPGRADE, {"target": target.url, "when": when}, run)

    async def _start(self, name: str, inputs: Mapping[str, JsonValue], run: str) -> Started:
        chosen = run or f"{name}-{secrets.token_hex(4)}"
        request = StartRequest(name, inputs=inputs, workflow_id=chosen, operator="ann")
        return await self.connection.runs.start(request)


@asynccontextmanager
async def open_site(folder: Path) -> AsyncGenerator[Site]:
    """Run server, Web UI and worker for as long as the context lasts; `folder` is theirs."""
    settings = Settings(
        data_dir=folder,
        store_url=f"sqlite:///{folder / 'store.db'}",
        graceful_shutdown_s=2,
        http_allow=("127.0.0.1",),  # where the release's target is
    )
    server = EmbeddedServer(ui_port=0, log_file=folder / "temporal.log")
    with Store.open(settings.store_url) as store:
        load(template(), FILE, store, operator="ann")
        keep_upgrade(store)
        async with everything(settings, server, store, discover()) as connection:
            yield Site(connection, server.ui_url)


def upgrade() -> Plan:
    """Return the plan of the template `upgrade`."""
    tree = build.tree(
        "start announce fork",
        "fork web join",
        "fork db join",
        "join confirm xor-when",
        "xor-when night switch",
        "xor-when switch end",
        nodes=[
            build.task(
                "announce",
                inputs={"bk_display_message": "an upgrade begins"},
                code="bk_display",
                version="1.0",
            ),
            _request("web", "deploy/all"),
            _request("db", "migrate"),
            build.task("confirm", code="pause_node"),
            build.task("night", inputs={"bk_timing": "28800"}, code="sleep_timer"),
            _request("switch", "deploy/web"),
        ],
        conditions={
            "xor-when-night": '"${when}" == "tonight"',
            "xor-when-switch": '"${when}" == "now"',
        },
        variables=build.variables(build.variable("target"), build.variable("when", "tonight")),
    )
    plan = compile_template(build.template(_named(tree)))
    return plan.model_copy(update={"template_key": UPGRADE, "name": UPGRADE})


def keep_upgrade(store: Store) -> None:
    """Store the template `upgrade`."""
    plan = upgrade()
    new = NewTemplate(plan.template_key, plan.name, "", "web", plan.digest, plan)
    store.save_templates([new], plan.digest.encode(), "upgrade.json", "ann")


def _named(tree: Tree) -> Tree:
    """Give nodes and branches the names that people see."""
    tasks = {key: task._replace(name=NAMES[key]) for key, task in tree.tasks.items()}
    gateways = {key: each._replace(name=NAMES.get(key, "")) for key, each in tree.gateways.items()}
    when = gateways["xor-when"]
    branches = [each._replace(name=NAMES[each.edge]) for each in when.conditions]
    gateways["xor-when"] = when._replace(conditions=tuple(branches))
    return tree._replace(tasks=tasks, gateways=gateways)


def _request(name: str, path: str) -> SourceTask:
    """Build a task that posts to the target."""
    inputs: Mapping[str, JsonValue] = {
        "bk_http_request_method": "POST",
        "bk_http_request_url": f"${{target}}/{path}",
        "bk_http_request_header": [],
        "bk_http_request_body": "{}",
        "bk_http_timeout": 5,
        "bk_http_success_exp": "",
    }
    return build.task(name, inputs=inputs, code="bk_http_request", version="v1.0")
