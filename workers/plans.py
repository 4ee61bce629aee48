"""The activity `stdops.load_plan`: a run's plan and every setting that the run depends on.

Read once when a run starts, so that a later change of settings or plugins never touches it.
"""

import asyncio
import difflib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.callbacks import CallbackUrls
from activities.contract import LOAD_PLAN, LoadedPlan, LoadPlan, PluginTraits, RunSettings
from activities.registry import Registry
from activities.shelf import Shelf
from stdops import StdopsError, StoreError
from translator.plan import (
    ConditionalParallel,
    Exclusive,
    Flow,
    NodePath,
    Plan,
    Subflow,
    Task,
    Variable,
    VariableKey,
    flows_of,
    part_of,
)
from workers.catalog import RegistryCatalog
from workers.payloads import most_bytes
from workers.secrets import sealed_plan, secret_keys
from workers.server import run_url, runs_url
from workers.settings import Settings
from workers.store import Store

if TYPE_CHECKING:
    from activities.expressions.secrets import Keys

_MAY_PASS: Final = frozenset({"SOP520", "SOP521"})
"""Troubles of the store that may be over at the next try; every other stays until a person acts."""


def callback_urls(settings: Settings, keys: "Keys") -> CallbackUrls | None:
    """Return what makes the addresses for callbacks, None where the outside has no way in."""
    if not settings.callback_url:
        return None
    return CallbackUrls(settings.callback_url, keys, settings.callback_ttl_s)


def shelf_of(settings: Settings, keys: "Keys") -> Shelf:
    """Return what a worker's plugins find: their settings, and addresses to be called back at."""
    return Shelf(settings.plugins, callback_urls(settings, keys))


class PlanLoader:
    """Holds what `load_plan` needs; `search_attributes` are those that the server knows.

    `keys` seal what a plan still holds in clear, and open it in the activities of the same worker.
    `most_bytes` is how large the outcome of a step may be.
    `shelf` holds the plugins' settings for those activities.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        settings: Settings,
        search_attributes: Sequence[str] = (),
        keys: "Keys | None" = None,
    ) -> None:
        self._store = store
        self._registry = registry
        self._catalog = RegistryCatalog(registry)
        self._settings = settings
        self._search_attributes = tuple(search_attributes)
        self.keys = keys or secret_keys(settings)
        self.shelf = shelf_of(settings, self.keys)
        self.most_bytes = most_bytes(settings)

    @activity.defn(name=LOAD_PLAN)
    async def load_plan(self, request: LoadPlan) -> LoadedPlan:
        """Return the plan and the settings of a run.

        A template whose plugins are not all there is refused, so that nothing surprises in the
        middle; by digest (a run that goes on, an unusual start) the node says so when it is met.
        """
        try:
            plan = await asyncio.to_thread(self.find, request)
            digest = plan.digest
            if request.digest is None:
                self.require_plugins(plan)
            plan = self._part(plan, request.part)
        except StdopsError as error:
            structlog.get_logger(__name__).warning(
                "workers.plan_refused", template=request.template, reason=str(error)
            )
            raise application_error(error, *self._search_attributes) from None
        structlog.get_logger(__name__).info(
            "workers.plan_loaded", template=plan.template_key, digest=plan.digest[:12]
        )
        # a plan of an older import holds its secrets in clear, and any plan those of its inputs
        sealed = sealed_plan(plan, self.keys, self._registry.traits())
        return LoadedPlan(plan=sealed, digest=digest, settings=self._settings_here(plan))

    def _part(self, plan: Plan, path: NodePath) -> Plan:
        """Return the plan of a child of `plan`; "" is the plan itself."""
        try:
            return part_of(plan, path) if path else plan
        except KeyError:
            what, fix = f"the plan has no child at {path!r}", "start the run by its parent"
            raise StoreError("SOP527", what, fix=fix) from None

    def _settings_here(self, plan: Plan) -> RunSettings:
        """Return the settings of the run that asks, which is told the address of its page too."""
        made, info = self.run_settings(plan), activity.info()
        page = run_url(
            self._settings.ui_url,
            info.namespace,
            info.workflow_id or "",
            info.workflow_run_id or "",
        )
        told = {"task_url": page, **made.project}
        runs = runs_url(self._settings.ui_url, info.namespace)
        return made.model_copy(update={"project": told, "runs_url": runs})

    def find(self, request: LoadPlan) -> Plan:
        """Return the plan that is asked for.

        Raises:
            StoreError: the store does not hold it.
        """
        if request.digest is not None:
            return self._store.plan(request.digest)
        return self._store.plan_of(request.template, parse_version(request.version))

    def require_plugins(self, plan: Plan) -> None:
        """Raise SOP401 where the plan needs a plugin or a lazy variable that is not there."""
        missing = list(self._missing(plan))
        if missing:
            where, what = missing[0]
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise StdopsError(
                "SOP401",
                f"{what}{more}",
                where=f"template {plan.template_key}, {where}",
                fix="install what brings it on every worker; `stdops plugins` lists what is there",
            )

    def _missing(self, plan: Plan) -> Iterator[tuple[str, str]]:
        """Yield where something is missing, and what; each missing thing once."""
        known = self._registry.traits()
        for task in first_uses(plan):
            code, version = task.plugin.code, task.plugin.version
            if f"{code}/{version}" not in known:
                yield f"node {task.name or task.id!r}", self._registry.missing_text(code, version)
        for variable in lazy_variables(plan.flow):
            if self._registry.lazy(variable.code) is None:
                near = difflib.get_close_matches(variable.code, self._registry.lazy_codes(), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                yield f"variable {variable.key!r}", f"unknown variable type {variable.code!r}{hint}"

    def run_settings(self, plan: Plan) -> RunSettings:
        """Return the settings of a run of `plan`, with the traits of the plugins that it uses."""
        return RunSettings(
            traits={f"{t.plugin.code}/{t.plugin.version}": t for t in self._traits_for(plan)},
            search_attributes=self._search_attributes,
            rerun_limit=self._settings.rerun_limit,
            in_flight=self._settings.in_flight,
            batch_tasks=self._settings.batch_tasks,
            batch_ms=self._settings.batch_ms,
            timezone=self._settings.timezone,
            picture=self._settings.picture,
            picture_bytes=self._settings.picture_bytes,
            project=self._settings.project,
            strict=self._settings.strict,
        )

    def _traits_for(self, plan: Plan) -> Iterator[PluginTraits]:
        known = self._registry.traits()
        for task in first_uses(plan):
            code, version = task.plugin.code, task.plugin.version
            traits, facts = known.get(f"{code}/{version}"), self._catalog.plugin(code, version)
            if traits is not None and facts is not None:
                yield traits.model_copy(
                    update={
                        "plugin": task.plugin,
                        "queue": self._settings.queue_of(code) or traits.queue,
                        "inputs": {each.name: each.type for each in facts.inputs},
                        "open_inputs": facts.open_inputs,
                    }
                )


def first_uses(plan: Plan) -> list[Task]:
    """Return, for each plugin that the plan calls, the first task that calls it."""
    first: dict[tuple[str, str], Task] = {}
    for flow in flows_of(plan.flow):
        for node in flow.nodes.values():
            if isinstance(node, Task) and node.child is None:
                first.setdefault((node.plugin.code, node.plugin.version), node)
    return list(first.values())


def lazy_variables(root: Flow) -> Iterator[Variable]:
    """Yield the lazy variables that something reads, each variable type once."""
    seen: set[str] = set()
    for flow in flows_of(root):
        needed = frozenset(_read_keys(flow))
        for variable in flow.variables.values():
            wanted = variable.pre_render or variable.key in needed
            if variable.kind == "lazy" and wanted and variable.code not in seen:
                seen.add(variable.code)
                yield variable


def _read_keys(flow: Flow) -> Iterator[VariableKey]:
    yield from flow.outputs
    for node in flow.nodes.values():
        match node:
            case Task() | Subflow():
                yield from node.reads
            case Exclusive() | ConditionalParallel():
                for branch in node.branches:
                    yield from branch.condition.reads if branch.condition else ()
            case _:
                pass


def parse_version(text: str | None) -> int | None:
    """Read a template's version, `3` or `v3`; None and "" mean the newest.

    Raises:
        StoreError: it is no version (SOP526).
    """
    if text is None or text == "":
        return None
    digits = text.removeprefix("v")
    if digits.isascii() and digits.isdigit():
        return int(digits)
    raise StoreError(
        "SOP526",
        f"{text!r} is no version of a template",
        fix="give a whole number such as 3, or leave it out for the newest",
    )


def application_error(error: StdopsError, *details: str) -> ApplicationError:
    """Return `error` in the form that crosses the Temporal border; its type is the code.

    `details` are for the workflow: the search attributes that it may write before it ends. It is
    benign: what it says is logged where it is raised, and needs no traceback.
    """
    return ApplicationError(
        str(error).removeprefix(f"{error.code} "),
        *details,
        type=error.code,
        non_retryable=error.code not in _MAY_PASS,
        category=ApplicationErrorCategory.BENIGN,
    )
