"""What all tests share: markers by folder, a hypothesis profile, settings kept off the machine."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent
MARKED_FOLDERS = ("temporal", "browser")
KEPT = ("STDOPS_SHARED", "STDOPS_TEST_POSTGRES")

settings.register_profile("local", deadline=None, max_examples=50)
settings.register_profile(
    "ci", deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure() -> None:
    """Forget the settings of the machine that we run on."""
    for name in list(os.environ):
        if name.startswith(("STDOPS_", "TEMPORAL_")) and name not in KEPT:
            del os.environ[name]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark by folder, so that no test is forgotten; leave those out of a bare `pytest`."""
    for item in items:
        folder = _folder(item)
        if folder in MARKED_FOLDERS:
            item.add_marker(folder)
    if not _is_bare(config):
        return
    kept = [item for item in items if _folder(item) not in MARKED_FOLDERS]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[i for i in items if i not in kept])
        items[:] = kept


def _folder(item: pytest.Item) -> str:
    inside = item.path.is_relative_to(ROOT)
    return item.path.relative_to(ROOT).parts[0] if inside else ""


def _is_bare(config: pytest.Config) -> bool:
    """Tell whether nothing was chosen: no path that leads into a folder, no -m, no -k."""
    chosen = [Path(arg.split("::")[0]).resolve() for arg in config.args]
    return not config.option.markexpr and all(ROOT.is_relative_to(path) for path in chosen)


@pytest.fixture(autouse=True)
def _data_of_our_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the tests out of the user's data and away from a settings file where they are run."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
