from collections.abc import Generator

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.contract import LoadedPlan, LoadPlan
from activities.registry import Registry
from activities.sdk import Call, Inputs, LazyVariable, Lookup, plugin
from stdops import StdopsError, StoreError
from translator.plan import End, Flow, Literal, Plan, PluginRef, Start, Subflow, Task, Variable
from workers.plans import PlanLoader, application_error, first_uses, parse_version
from workers.settings import Settings
from workers.store import NewTemplate, Store


@plugin("job_push", idempotent=True)
async def job_push(call: Call[Inputs]) -> None:
    """Push files."""


@plugin("sleep", version="v2")
async def sleep(call: Call[Inputs]) -> None:
    """Sleep."""


async def look_up(_lookup: Lookup) -> str:
    return ""


REGISTRY = Registry([job_push, sleep, LazyVariable("ip", look_up)])


@pytest.fixture
def store() -> Generator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


def a_flow(*tasks: Task, inner: Flow | None = None, **variables: Variable) -> Flow:
    order = ["s", *(task.id for task in tasks), *(["sub"] if inner else []), "e"]
    nodes = {"s": Start(id="s", next=order[1]), "e": End(id="e")}
    linked = {
        task.id: task.model_copy(update={"next": order[place + 2]})
        for place, task in enumerate(tasks)
    }
    subflows = {"sub": Subflow(id="sub", next="e", flow=inner)} if inner else {}
    return Flow(start="s", nodes={**nodes, **linked, **subflows}, variables=variables)


def a_task(code: str, version: str = "legacy", reads: tuple[str, ...] = ()) -> Task:
    ref = PluginRef(code=code, version=version)
    return Task(id=f"t-{code}", name=code.title(), next="", plugin=ref, reads=reads)


def save(store: Store, flow: Flow, digest: str = "d") -> Plan:
    plan = Plan(template_key="release", name=digest, flow=flow)
    new = NewTemplate("release", "Release", "7", "web", digest, plan)
    store.save_templates([new], b"", "release.json", "ann")
    return plan


async def load(store: Store, request: LoadPlan, settings: Settings | None = None) -> LoadedPlan:
    loader = PlanLoader(store, REGISTRY, settings or Settings(), ("StdopsState",))
    return await ActivityEnvironment().run(loader.load_plan, request)


async def test_a_template_gives_its_newest_plan(store: Store) -> None:
    save(store, a_flow(a_task("job_push")))
    newest = save(store, a_flow(a_task("job_push")), "d2")

    loaded = await load(store, LoadPlan(template="release"))

    assert loaded.plan == newest
    assert loaded.digest == newest.digest


@pytest.mark.parametrize("version", ["1", "v1"])
async def test_a_version_gives_its_plan(store: Store, version: str) -> None:
    first = save(store, a_flow(a_task("job_push")))
    save(store, a_flow(a_task("job_push")), "d2")

    loaded = await load(store, LoadPlan(template="release", version=version))

    assert loaded.plan == first


async def test_the_settings_travel_with_the_plan(store: Store) -> None:
    save(store, a_flow(a_task("job_push"), inner=a_flow(a_task("sleep", "v2"))))
    settings = Settings(
        plugin_queues={"job_*": "zone-b"},
        rerun_limit=7,
        in_flight=3,
        timezone="UTC",
        picture_bytes=9,
    )

    loaded = (await load(store, LoadPlan(template="release"), settings)).settings

    assert sorted(loaded.traits) == ["job_push/legacy", "sleep/v2"]
    assert loaded.traits["job_push/legacy"].queue == "zone-b"
    assert loaded.traits["job_push/legacy"].idempotent
    assert loaded.traits["sleep/v2"].queue == ""
    assert loaded.search_attributes == ("StdopsState",)
    assert (loaded.rerun_limit, loaded.in_flight) == (7, 3)
    assert (loaded.timezone, loaded.picture_bytes) == ("UTC", 9)


async def test_an_unknown_plugin_is_refused_at_the_start(store: Store) -> None:
    save(store, a_flow(a_task("job_psh"), inner=a_flow(a_task("sleep", "v1"))))

    with pytest.raises(ApplicationError) as caught:
        await load(store, LoadPlan(template="release"))

    assert (caught.value.type, caught.value.non_retryable) == ("SOP401", True)
    assert "unknown plugin 'job_psh'" in caught.value.message
    assert "did you mean 'job_push'?" in caught.value.message
    assert "(and 1 more)" in caught.value.message
    assert "node 'Job_Psh'" in caught.value.message


async def test_a_run_that_goes_on_by_digest_is_not_refused(store: Store) -> None:
    plan = save(store, a_flow(a_task("gone")))

    loaded = await load(store, LoadPlan(template="release", digest=plan.digest))

    assert loaded.plan == plan
    assert loaded.settings.traits == {}


@pytest.mark.parametrize(("reads", "refused"), [(("hosts",), True), ((), False)])
async def test_an_unknown_variable_type_is_refused_where_something_reads_it(
    store: Store, reads: tuple[str, ...], *, refused: bool
) -> None:
    hosts = Variable(key="hosts", kind="lazy", code="ipp", value=Literal(value=""))
    plan = save(store, a_flow(a_task("job_push", reads=reads), hosts=hosts))
    loader = PlanLoader(store, REGISTRY, Settings())

    if not refused:
        loader.require_plugins(plan)
        return
    with pytest.raises(StdopsError, match=r"variable type 'ipp'; did you mean 'ip'\?"):
        loader.require_plugins(plan)


async def test_an_unknown_template_is_refused_for_good(store: Store) -> None:
    with pytest.raises(ApplicationError) as caught:
        await load(store, LoadPlan(template="relaese"))

    assert (caught.value.type, caught.value.non_retryable) == ("SOP525", True)


@pytest.mark.parametrize("text", ["latest", "-1", "v", "１"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="SOP526"):
        parse_version(text)


@pytest.mark.parametrize(("text", "number"), [(None, None), ("", None), ("12", 12), ("v3", 3)])
def test_a_version_is_a_number(text: str | None, number: int | None) -> None:
    assert parse_version(text) == number


def test_a_locked_store_is_tried_again() -> None:
    assert not application_error(StoreError("SOP521", "locked")).non_retryable
    assert application_error(StoreError("SOP522", "damaged")).non_retryable


def test_each_plugin_is_named_by_its_first_task() -> None:
    again = a_task("sleep", "v2").model_copy(update={"id": "later"})
    inner = a_flow(a_task("sleep", "v2"), a_task("job_push"))
    plan = Plan(template_key="k", flow=a_flow(again, inner=inner))

    assert [task.id for task in first_uses(plan)] == ["later", "t-job_push"]


async def test_a_run_is_told_of_its_project_and_of_its_page(store: Store) -> None:
    save(store, a_flow(a_task("job_push")))
    settings = Settings(project={"project_name": "Shop"}, ui_url="http://ui")

    loaded = (await load(store, LoadPlan(template="release"), settings)).settings

    assert loaded.project["project_name"] == "Shop"
    assert str(loaded.project["task_url"]).startswith("http://ui/namespaces/")
