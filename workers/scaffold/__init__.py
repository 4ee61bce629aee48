"""Begins a package of plugins: one that works, tests that pass, and a service to try it on.

The files stand in `files`, as text: `common` for every package, and a folder for each kind of
plugin. They are whole and sound; a package differs from them by its name alone.
"""

import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from stdops import StdopsError

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_STAND_IN: Final = ("acme-plugin", "acme_plugin", "Acme")
"""The name in the files: of the package, of its module and plugin, of the group."""

_SUFFIX: Final = ".txt"
_PLACES: Final = {
    "plugins.py": "src/acme_plugin/plugins.py",
    "test_plugins.py": "tests/test_plugins.py",
}


def create(name: str, kind: str, into: Path) -> tuple[Path, list[str]]:
    """Make the package `name` in the folder `into`; return its folder and the files in it.

    Raises:
        StdopsError: the name is none for a package, or is taken (SOP541), or its folder is there
            (SOP546).
        OSError: a file cannot be written.
    """
    _check(name)
    folder = into.expanduser() / name
    if folder.exists():
        fix = "choose another name, or another folder by --into"
        raise StdopsError("SOP546", f"{str(folder)!r} is there already", where="NAME", fix=fix)
    files = dict(_files(name, kind))
    for place, text in files.items():
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return folder, list(files)


def _check(name: str) -> None:
    module = name.replace("-", "_")
    if not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        hint = f"; did you mean {near!r}?" if _NAME.fullmatch(near) else ""
        fix = "use small letters, digits and '-', and begin with a letter"
        what = f"{name!r} is no name for a package{hint}"
        raise StdopsError("SOP541", what, where="NAME", fix=fix)
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or _is_taken(module):
        what = f"Python knows something else by the name {module!r}"
        fix = "put something in front of it, such as your company's name"
        raise StdopsError("SOP541", what, where="NAME", fix=fix)


def _is_taken(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _files(name: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield each file's place in the package and its text."""
    files = resources.files("workers.scaffold").joinpath("files")
    for folder in ("common", kind):
        for place, text in _texts(files.joinpath(folder)):
            yield _named(_PLACES.get(place, place), name), _named(text, name)


def _texts(folder: Traversable, within: str = "") -> Iterator[tuple[str, str]]:
    for each in sorted(folder.iterdir(), key=lambda found: found.name):
        if each.is_dir():
            yield from _texts(each, f"{within}{each.name}/")
        else:
            yield f"{within}{each.name.removesuffix(_SUFFIX)}", each.read_text("utf-8")


def _named(text: str, name: str) -> str:
    own = (name, name.replace("-", "_"), name.partition("-")[0].capitalize())
    for stand_in, word in zip(_STAND_IN, own, strict=True):
        text = text.replace(stand_in, word)
    return text
