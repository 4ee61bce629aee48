"""A new package is sound at once: it installs, is found, passes its tests and its checkers."""

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stdops import StdopsError
from workers.cli import app
from workers.scaffold import create

ROOT = Path(__file__).resolve().parents[3]
KINDS = {"returns": "returns", "polls": "polls", "callback": "called back"}
EACH = [
    pytest.param("polls"),
    pytest.param("returns", marks=pytest.mark.slow),
    pytest.param("callback", marks=pytest.mark.slow),
]
"""Each takes some seconds; the one with the most in it stands for the others on every run."""

BIN = Path(sys.executable).parent


def run(*command: str | Path, folder: Path, path: tuple[Path, ...] = ()) -> str:
    """Run a program as its author would, and return what it prints."""
    places = os.pathsep.join(map(str, (*path, ROOT)))
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": places, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def installed(package: Path, site: Path) -> Path:
    """Install a package into a folder: build its wheel, and unpack it."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", site, folder=package)
    (wheel,) = site.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed")
@pytest.mark.parametrize("kind", EACH)
def test_a_new_package_installs_passes_its_tests_and_is_listed(kind: str, tmp_path: Path) -> None:
    package, _ = create("shop-ops", kind, tmp_path)
    site = installed(package, tmp_path / "site")

    run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder=package, path=(site,)
    )
    stdops = (sys.executable, "-m", "stdops")
    listed = run(*stdops, "plugins", "list", "--group", "shop", folder=package, path=(site,))
    run(*stdops, "lint", "flow.yaml", "--strict", folder=package, path=(site,))

    assert KINDS[kind] in listed
    assert "shop-ops 0.1.0" in listed


@pytest.mark.parametrize("kind", EACH)
def test_a_new_package_passes_ruff_and_pyright(kind: str, tmp_path: Path) -> None:
    missing = [name for name in ("ruff", "pyright") if not (BIN / name).exists()]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    # another name has other places for line breaks
    package, _ = create("a-very-long-name-for-plugins", kind, tmp_path)

    run(BIN / "ruff", "check", ".", folder=package)
    run(BIN / "ruff", "format", "--check", ".", folder=package)
    run(BIN / "pyright", "--pythonpath", sys.executable, folder=package)


def test_no_file_keeps_the_name_of_the_stand_in(tmp_path: Path) -> None:
    package, files = create("shop-ops", "polls", tmp_path)

    assert "src/shop_ops/plugins.py" in files
    for file in files:
        assert "acme" not in (package / file).read_text("utf-8").lower()


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "shop-ops").mkdir()

    with pytest.raises(StdopsError, match="is there already") as refused:
        create("shop-ops", "returns", tmp_path)

    assert refused.value.code == "SOP546"
    assert list((tmp_path / "shop-ops").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Shop_Ops", "did you mean 'shop-ops'?"),
        ("2fast", "is no name for a package"),
        ("", "is no name for a package"),
        ("../shop", "did you mean 'shop'?"),
        ("json", "Python knows something else"),
        ("class", "Python knows something else"),
        ("workers", "Python knows something else"),
        ("pydantic-core", "Python knows something else"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(StdopsError, match=r"package|Python") as refused:
        create(name, "returns", tmp_path / "into")

    assert refused.value.code == "SOP541"
    assert told in refused.value.what
    assert not (tmp_path / "into").exists()


def test_the_command_makes_it_and_says_what_is_next(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["plugins", "new", "shop-ops", "--into", str(tmp_path)])

    assert done.exit_code == 0
    assert (tmp_path / "shop-ops" / "pyproject.toml").is_file()
    assert "pip install -e" in done.stderr
