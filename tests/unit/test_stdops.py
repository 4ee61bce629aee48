"""The one import name: cheap to load, lazy names, errors in one line, the guard, the command."""

import importlib.util
import json
import subprocess
import sys
from importlib.machinery import ModuleSpec

import pytest

import stdops
from stdops import Diagnostic, Location, StdopsError, TranslationError

PACKAGES = ("translator", "activities", "workflows", "workers")
HEAVY = ("temporalio", "pydantic", "httpx", "sqlalchemy", "typer", "rich")


def loaded_after(statement: str) -> list[str]:
    """Run `statement` in a fresh interpreter and return the packages that it has loaded."""
    listing = "import json, sys; print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{listing}"],
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("statement", ["import stdops", "import stdops; stdops.guard()"])
def test_importing_stdops_loads_none_of_the_packages(statement: str) -> None:
    assert {*loaded_after(statement)}.isdisjoint({*PACKAGES, *HEAVY})


def test_a_lazy_name_loads_the_activities_and_nothing_of_temporal() -> None:
    loaded = loaded_after("from stdops import plugin")

    assert "activities" in loaded
    assert {*loaded}.isdisjoint({"temporalio", "workflows", "workers"})


def test_help_is_shown_without_temporal_the_store_or_the_workflows() -> None:
    shown = "import sys, stdops\nsys.argv = ['stdops', '--help']\n"
    shown += "try: stdops.main()\nexcept SystemExit: pass"

    assert {*loaded_after(shown)}.isdisjoint({"temporalio", "sqlalchemy", "httpx", "workflows"})


@pytest.mark.parametrize("name", sorted(stdops.__all__))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(stdops, name) is not None
    assert name in dir(stdops)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'plugn'"):
        getattr(stdops, "plugn")  # noqa: B009  the type checker would refuse the plain form


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (Location(), "<input>"),
        (Location("a.json"), "a.json"),
        (Location("a.json", "/flows"), "a.json (/flows)"),
        (Location("a.json", "/flows", 3, 7), "a.json:3:7 (/flows)"),
        (Location("a.yaml", "", 3), "a.yaml:3:1"),
    ],
)
def test_a_location_names_what_is_known(where: Location, text: str) -> None:
    assert str(where) == text


def test_an_error_says_what_where_and_how_to_mend_it() -> None:
    error = StdopsError("SOP999", "it broke", where="node 'a'", fix="mend it")

    assert str(error) == "SOP999 it broke (node 'a'); mend it"
    assert str(StdopsError("SOP999", "it broke")) == "SOP999 it broke"


def test_a_translation_error_tells_the_first_error_and_counts_the_others() -> None:
    found = [
        Diagnostic(f"SOP99{number}", severity, f"problem {number}", "mend it", Location("a.json"))
        for number, severity in enumerate(("warning", "error", "error"))
    ]

    error = TranslationError(found)

    assert str(error) == "SOP991 problem 1 (and 1 more) (a.json); mend it"
    assert error.diagnostics == tuple(found)


# --- the guard ---------------------------------------------------------------------------------


def test_the_guard_is_content_with_our_own_packages() -> None:
    stdops.guard()


def test_a_merged_distribution_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rival:
        name = "some-workflows"

        def read_text(self, file: str) -> str:
            return "some_workflows.py,,\nworkflows/__init__.py,,\n" if file == "RECORD" else ""

    monkeypatch.setattr("importlib.metadata.distributions", lambda: [Rival()])

    with pytest.raises(SystemExit) as ended:
        stdops.guard()

    assert ended.value.code == (
        "SOP501 package 'workflows' also comes from some-workflows: "
        "install stdops in an environment of its own"
    )


def test_a_shadowing_folder_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def shadowed(name: str) -> ModuleSpec | None:
        origin = f"/elsewhere/{name}/__init__.py"
        return ModuleSpec(name, None, origin=origin) if name == "workers" else find(name)

    monkeypatch.setattr("importlib.util.find_spec", shadowed)

    with pytest.raises(SystemExit, match="'workers' is shadowed by /elsewhere/workers"):
        stdops.guard()


def test_a_missing_package_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)

    with pytest.raises(SystemExit, match="SOP501 package 'translator' is missing"):
        stdops.guard()


def test_the_module_runs_as_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stdops", "--version"], capture_output=True, check=True, text=True
    )

    assert done.stdout == f"stdops {stdops.__version__}\n"
