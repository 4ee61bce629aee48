from activities.registry import Registry
from activities.sdk import Call, Inputs, LazyVariable, Lookup, Outputs, plugin
from translator.rules.context import Catalog, PluginFacts, PluginInput
from workers.catalog import RegistryCatalog


class Given(Inputs):
    path: str
    tries: int = 1


class Made(Outputs):
    size: int


@plugin("fetch", version="v1", name="Fetch a file")
async def fetch(_call: Call[Given]) -> Made:
    """Fetch a file."""
    return Made(size=1)


async def look_up(_lookup: Lookup) -> str:
    return ""


CATALOG: Catalog = RegistryCatalog(Registry([fetch, LazyVariable("ip", look_up)]))


def test_a_plugin_s_facts_are_what_the_checks_ask_for() -> None:
    assert CATALOG.plugin("fetch", "v1") == PluginFacts(
        code="fetch",
        version="v1",
        name="Fetch a file",
        inputs=(PluginInput("path", "string", True), PluginInput("tries", "integer", False)),
        outputs=("size",),
        open_inputs=False,
    )


def test_what_is_not_there_is_unknown() -> None:
    assert CATALOG.plugin("fetch", "v2") is None
    assert CATALOG.versions("fetsch") == ()


def test_codes_and_versions_are_the_registry_s() -> None:
    assert CATALOG.codes() == ("fetch",)
    assert CATALOG.versions("fetch") == ("v1",)
    assert CATALOG.lazy_codes() == ("ip",)
