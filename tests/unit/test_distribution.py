"""What is shipped: one wheel with four packages, and a rival beside it that is noticed."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Final

import pytest

from stdops import __version__

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("translator", "activities", "workflows", "workers")
RIVAL: Final = "rival_workflows-1.0"

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, check=False, cwd=cwd, text=True
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build our wheel, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run(
        sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT
    )
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def rival(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the wheel of somebody else's `workflows`."""
    file = tmp_path_factory.mktemp("rival") / f"{RIVAL}-py3-none-any.whl"
    info = f"{RIVAL}.dist-info"
    parts = {
        "workflows/__init__.py": '"""Somebody else\'s."""\n',
        "workflows/other.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: rival-workflows\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*parts, f"{info}/RECORD"])
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in {**parts, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return file


@pytest.fixture
def installed(tmp_path: Path, wheel: Path) -> Path:
    """Install our wheel alone, and return the folder of the environment's programs."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    install(programs, wheel)
    return programs


def install(programs: Path, wheel: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python")]
    done = run(*pip, "install", "--no-deps", "--no-index", "--quiet", wheel)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_the_four_packages_and_their_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0] for name in names} == {
        *PACKAGES,
        "stdops.py",
        f"stdops-{__version__}.dist-info",
    }
    assert {f"{package}/py.typed" for package in PACKAGES} <= {*names}
    assert "workers/demo/release.json" in names
    assert any(name.startswith("workers/store/migrations/versions/0001") for name in names)
    assert not [name for name in names if name.endswith((".pyc", ".db"))]


def test_the_wheel_holds_every_module_of_ours(wheel: Path) -> None:
    ours = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }

    assert ours <= {*zipfile.ZipFile(wheel).namelist()}


def test_an_environment_of_its_own_is_fine(installed: Path) -> None:
    done = run(installed / "python", "-I", "-c", "import stdops; stdops.guard()")

    assert (done.returncode, done.stderr) == (0, "")


def test_a_rival_beside_it_ends_the_command(installed: Path, rival: Path) -> None:
    install(installed, rival)

    done = run(installed / "stdops", "--help")

    assert done.returncode == 1
    assert done.stderr == (
        "SOP501 package 'workflows' also comes from rival-workflows: "
        "install stdops in an environment of its own\n"
    )


def test_a_shadowing_folder_ends_the_command(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__init__.py").touch()

    done = run(installed / "python", "-m", "stdops", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("SOP501 package 'workers' is shadowed by ")


def test_every_package_is_typed() -> None:
    assert all((ROOT / package / "py.typed").is_file() for package in PACKAGES)
