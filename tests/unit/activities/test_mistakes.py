"""Each way to write a plugin wrongly, and what is told of it: the place, and the cure."""

import importlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from activities.registry import Registry, discover
from stdops import Diagnostic

HEAD = """\
from pydantic import Field, SecretStr
from stdops import Call, Inputs, Outputs, Secret, StillRunning, WaitForCallback, plugin

class I(Inputs):
    host: str = ""

class O(Outputs):
    job: int = 0

"""
GOOD = '@plugin("good")\nasync def good(call: Call[I]) -> None: ...\n'
FIRST = HEAD.count("\n") + 1
"""The line on which a case begins."""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "acme_plugins"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "good.py").write_text(HEAD + GOOD)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    for name in ("acme_plugins", "acme_plugins.good", "acme_plugins.bad"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


def point(value: str = "acme_plugins") -> EntryPoint:
    return EntryPoint("acme", value, "stdops.plugins")


def found_in(package: Path, case: str) -> tuple[Registry, Diagnostic]:
    (package / "bad.py").write_text(HEAD + case)
    registry = discover([point()])
    [problem] = registry.diagnostics
    return registry, problem


CALL = "async def bad(call: Call[I]) -> "
MISTAKES = {
    "not async": ("@plugin('bad')\ndef bad(call: Call[I]) -> None: ...", "call that is not async"),
    "no arguments": ("@plugin('bad')\nasync def bad() -> None: ...", "call with 0 arguments"),
    "inputs are no Inputs": (
        "@plugin('bad')\nasync def bad(call: Call[O]) -> None: ...",
        "is not annotated with Call[...] of Inputs",
    ),
    "a plain argument": (
        "@plugin('bad')\nasync def bad(call: I) -> None: ...",
        "is not annotated with Call[...] of Inputs",
    ),
    "outputs are no Outputs": (
        f"@plugin('bad')\n{CALL}dict: ...",
        "is not annotated to return Outputs or None",
    ),
    "no code": (f"@plugin\n{CALL}None: ...", "@plugin has no code"),
    "a code that is no name": (f"@plugin('bad code')\n{CALL}None: ...", "which is not a name"),
    "an unknown annotation": (
        "@plugin('bad')\nasync def bad(call: 'Call[Nothing]') -> None: ...",
        "cannot be read (name 'Nothing' is not defined)",
    ),
    "no poll": (
        f"@plugin('bad')\n{CALL}None:\n    raise StillRunning(7)",
        "raises StillRunning but has no poll hook",
    ),
    "no callback": (
        f"@plugin('bad')\n{CALL}None:\n    async def ask():\n        raise WaitForCallback",
        "raises WaitForCallback but has no callback hook",
    ),
    "a needless stop": (
        (
            f"@plugin('bad')\n{CALL}None: ...\n"
            "@bad.stop\nasync def _(call: Call[I], handle: object) -> None: ..."
        ),
        "has a stop hook that nothing would call",
    ),
    "callbacks without a hook": (
        f"@plugin('bad', multiple_callbacks=True)\n{CALL}None: ...",
        "takes multiple callbacks but has no callback hook",
    ),
    "quick and polling": (
        (
            f"@plugin('bad', quick=True)\n{CALL}None: ...\n"
            "@bad.poll\nasync def _(call: Call[I], handle: object) -> None: ..."
        ),
        "is quick and yet goes on after its call",
    ),
    "an input in clear": (
        (
            "class S(Inputs):\n    key: SecretStr | None = None\n"
            "@plugin('bad')\nasync def bad(call: Call[S]) -> None: ..."
        ),
        "has the secret 'key' of type SecretStr",
    ),
    "an output in clear": (
        f"class S(Outputs):\n    key: SecretStr\n@plugin('bad')\n{CALL}S: ...",
        "has the secret 'key' of type SecretStr",
    ),
    "an output of the engine": (
        f"class S(Outputs):\n    text: str = Field(alias='ex_data')\n@plugin('bad')\n{CALL}S: ...",
        "has the output 'ex_data', which every node has by itself",
    ),
    "settings that are none": (
        f"@plugin('bad', settings={{'acme': dict}})\n{CALL}None: ...",
        "has settings 'acme' that are no pydantic model",
    ),
}


@pytest.mark.parametrize(("case", "what"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_place_and_cure_and_the_rest_loads(
    package: Path, case: str, what: str
) -> None:
    registry, problem = found_in(package, case)

    assert registry.codes() == ("good",)
    assert problem.code == "SOP411"
    assert what in problem.what
    assert problem.where.file == str(package / "bad.py")
    line = FIRST + case.splitlines().index(next(x for x in case.splitlines() if "@plugin" in x))
    assert problem.where.line == line
    assert problem.fix


@pytest.mark.parametrize(
    ("case", "what"),
    [
        (
            f"@plugin('bad')\n{CALL}None: ...\n@bad.poll\nasync def _(call: Call[I]) -> None: ...",
            "has a poll with 1 arguments",
        ),
        (
            (
                f"@plugin('bad')\n{CALL}None: ...\n"
                "@bad.stop\nasync def _(call: Call[Other], handle: object) -> None: ..."
            ),
            "takes other inputs in its stop hook than in its call",
        ),
        (
            (
                f"@plugin('bad')\n{CALL}None: ...\n\n"
                "@bad.repeatable\nasync def _(inputs: I) -> bool: ..."
            ),
            "has an async repeatable hook",
        ),
    ],
    ids=["poll", "stop", "repeatable"],
)
def test_a_mistake_in_a_hook_is_told_at_the_hook(package: Path, case: str, what: str) -> None:
    case = f"class Other(Inputs): ...\n{case}"
    _, problem = found_in(package, case)

    assert what in problem.what
    hook = next(n for n, line in enumerate(case.splitlines()) if line.startswith("@bad."))
    assert problem.where.line == FIRST + hook


@pytest.mark.parametrize(
    ("case", "what", "fix"),
    [
        ("import nowhere_at_all", "No module named 'nowhere_at_all'", "install what offers"),
        ("1/0", "ZeroDivisionError: division by zero", "mend that line"),
        ("def broken(:", "SyntaxError", "mend that line"),
        ("raise SystemExit(1)", "SystemExit: 1", "mend that line"),
        ("class W(Inputs):\n    host: object()", "PydanticSchemaGenerationError", "mend that line"),
    ],
    ids=["missing import", "crash", "syntax", "exit", "field"],
)
def test_a_module_that_is_not_imported_is_told_with_its_line(
    package: Path, case: str, what: str, fix: str
) -> None:
    registry, problem = found_in(package, case)

    assert registry.codes() == ("good",)
    assert problem.code == "SOP410"
    assert problem.what.startswith("plugins of 'acme_plugins.bad'")
    assert what in problem.what
    assert "\n" not in str(problem)
    assert (problem.where.file, problem.where.line) == (str(package / "bad.py"), FIRST)
    assert fix in problem.fix


def test_an_error_in_what_a_module_calls_is_told_at_the_module(package: Path) -> None:
    _, problem = found_in(package, "import json\n\njson.loads('{')")

    assert problem.where.line == FIRST + 2


@pytest.mark.parametrize("value", ["nowhere_at_all", "acme_plugins:NOTHING"])
@pytest.mark.usefixtures("package")
def test_an_entry_point_that_leads_nowhere_is_told_as_it_is_written(value: str) -> None:
    [problem] = discover([point(value)]).diagnostics

    assert problem.where.file == f"stdops.plugins: acme = {value}"
    assert "correct the entry point" in problem.fix


def test_an_entry_point_without_plugins_is_a_warning(package: Path) -> None:
    (package / "good.py").write_text("")

    [problem] = discover([point()]).diagnostics

    assert (problem.code, problem.severity) == ("SOP413", "warning")
    assert "there is no plugin in 'acme_plugins'" in problem.what


def test_a_plugin_that_is_offered_twice_is_told_with_both_places(package: Path) -> None:
    registry, problem = found_in(package, "\n" + GOOD)

    assert problem.code == "SOP412"
    assert f"{package / 'bad.py'}:{FIRST + 1}, which is used" in problem.what
    assert f"and by {package / 'good.py'}:{FIRST}" in problem.what
    assert registry.codes() == ("good",)


def test_a_helper_may_raise_what_its_plugin_has_a_hook_for(package: Path) -> None:
    whole = """
@plugin("whole")
async def whole(call: Call[I]) -> O:
    raise StillRunning(7)

@whole.poll
async def _(call: Call[I], handle: object) -> O:
    return O(job=1)

@whole.stop
async def _(call: Call[I], handle: object) -> None: ...
"""
    (package / "bad.py").write_text(HEAD + whole)

    registry = discover([point()])

    assert registry.diagnostics == []
    assert registry.codes() == ("good", "whole")


def test_a_plugin_that_did_not_load_is_told_from_one_that_is_not_there(package: Path) -> None:
    registry, _ = found_in(package, f"@plugin('goad')\n{CALL}None:\n    raise StillRunning(7)")

    assert "it could not be loaded: see `stdops plugins list`" in registry.missing_text("goad", "")
    assert "did you mean 'good'?" in registry.missing_text("gooood", "")
