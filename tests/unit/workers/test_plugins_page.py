"""The page for plugin authors: its code runs as it stands there, its commands exist."""

import importlib.util
import inspect
import re
import shlex
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from typer.testing import CliRunner

from activities.descriptions import kind_of
from activities.mistakes import mistakes_of
from activities.registry import Registry, collect
from activities.testing import Recording, Stage
from workers.cli import app

PAGE = Path(__file__).parents[3] / "docs" / "plugins.md"
TEXT = PAGE.read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def commands() -> Iterator[list[str]]:
    inline = re.findall(r"`(stdops [^`\n]+)`", TEXT)
    for line in [*"".join(blocks("sh")).splitlines(), *inline]:
        words = shlex.split(line, comments=True)
        if words[:1] == ["stdops"]:
            yield words[1:]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """All the code of the page, in its order, as one module."""
    file = tmp_path_factory.mktemp("page") / "plugins_page.py"
    file.write_text("\n\n".join(blocks("python")), "utf-8")
    spec = importlib.util.spec_from_file_location("plugins_page", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["plugins_page"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["plugins_page"]


def test_every_kind_has_an_example_without_a_mistake(page: ModuleType) -> None:
    registry = Registry(collect(page))
    lazy = [found for code in registry.lazy_codes() if (found := registry.lazy(code))]

    assert {kind_of(part) for part in [*registry.plugins(), *lazy]} == {
        "returns",
        "polls",
        "called back",
        "quick",
        "lazy variable",
    }
    assert [mistakes_of(plugin) for plugin in registry.plugins()] == [[]] * 4


async def test_the_page_s_own_tests_pass(page: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = httpx.MockTransport(lambda _: httpx.Response(200, headers={"server": "a"}))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(page, "Recording", partial(Recording, network=outside))
    tests = [found for name, found in vars(page).items() if name.startswith("test_")]

    assert len(tests) == 2
    for test in tests:
        await test()
        await test()  # what one has recorded, the next plays


async def test_the_page_s_plugins_do_what_it_says(page: ModuleType) -> None:
    def outside(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, json={"ticket": "T1"} if request.method == "POST" else ["a", "b"]
        )

    async with Stage(outside) as stage:
        approved = await stage.run(page.approve, {"url": "https://a.test"}, [{"approved": True}])
        refused = await stage.run(page.approve, {"url": "https://a.test"}, ["no"])
        stamped = await stage.run(page.stamp, {"url": "https://a.test"})

    assert (approved.kind, refused.kind, stamped.kind) == ("done", "failed", "done")


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_of_the_page_exists_with_its_options(words: list[str]) -> None:
    names = words[: 2 if words[0] == "plugins" else 1]

    shown = CliRunner().invoke(app, [*names, "--help"])

    assert shown.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.stdout


def test_the_table_of_what_a_call_has_names_what_is_there() -> None:
    from activities.calls import Call

    named = set(re.findall(r"`call\.(\w+)", TEXT))
    there = {name for name, _ in inspect.getmembers(Call)} | set(Call.__dataclass_fields__)

    assert named <= there
