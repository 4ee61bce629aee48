"""The house rules that a machine can hold: imports, sizes, codes, marks, what may be tracked."""

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from translator.rules.document import PAGE, code_docs
from workers.codes import CODES

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("translator", "activities", "workflows", "workers")
SOURCES: Final = sorted(
    [ROOT / "stdops.py", *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))]
)
LONGEST_MODULE: Final = 500
LONGEST_FUNCTION: Final = 60
LONGEST_MEDIAN: Final = 8

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Source(NamedTuple):
    """A file of ours, read and parsed once."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


def sources() -> list[Source]:
    texts = [(path, path.read_text("utf-8")) for path in SOURCES]
    return [Source(path, text, ast.parse(text)) for path, text in texts]


ALL: Final = sources()


# --- sizes -------------------------------------------------------------------------------------


def functions(source: Source) -> Iterator[Function]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_length(function: Function) -> int:
    """Count the lines of a body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
def test_a_module_has_at_most_500_lines(source: Source) -> None:
    assert len(source.text.splitlines()) <= LONGEST_MODULE


def test_a_function_has_at_most_60_lines_and_the_median_8(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lengths = {
        f"{source.name}:{each.lineno} {each.name}": body_length(each)
        for source in ALL
        for each in functions(source)
    }

    median = statistics.median(lengths.values())
    with capsys.disabled():
        print(f"\n{len(ALL)} modules, {len(lengths)} functions, median {median:.0f} lines")
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
    assert median <= LONGEST_MEDIAN


# --- imports -----------------------------------------------------------------------------------


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return settings["tool"]["importlinter"]["contracts"]


def contract(name: str) -> dict[str, Any]:
    (found,) = [each for each in contracts() if name in each["name"]]
    return found


def modules(package: str) -> set[str]:
    """Return the modules and packages right below `package`."""
    paths = (ROOT / package).iterdir()
    return {
        f"{package}.{path.stem}"
        for path in paths
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    }


@pytest.mark.parametrize(
    ("package", "shared"),
    [
        ("translator", {"translator.plan", "translator.values"}),
        ("activities", {"activities.contract"}),
    ],
)
def test_every_module_is_protected_but_the_shared_vocabulary(
    package: str, shared: set[str]
) -> None:
    protected = contract(f"of the {package} others know")["protected_modules"]

    assert {*protected} == modules(package) - shared


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("only dispatch knows Temporal", {"activities.dispatch"}),
        (
            "knows httpx",
            {f"activities.{name}" for name in ("blueking", "builtin", "http_client", "testing")},
        ),
    ],
)
def test_every_other_module_of_the_activities_is_kept_from_it(name: str, allowed: set[str]) -> None:
    named = {each for each in contract(name)["source_modules"] if each.startswith("activities")}

    assert named == modules("activities") - allowed


LINT = (
    "import sys\nfrom importlinter.cli import lint_imports\nsys.exit(lint_imports(no_cache=True))"
)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT],
        capture_output=True,
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
        text=True,
    )


BREACHES: Final = {
    "layers": ("activities/steps.py", "import workflows.messages"),
    "the translator is pure": ("translator/graph/model.py", "import asyncio"),
    "the Machine is sans-I/O": ("workflows/machine/timing.py", "import random"),
    "of the translator others know only the plan and values": (
        "workflows/inputs.py",
        "import translator.template",
    ),
    "of the activities others know only the contract": (
        "workflows/inputs.py",
        "import activities.registry",
    ),
    "of the activities only dispatch knows Temporal": (
        "activities/steps.py",
        "from temporalio import activity",
    ),
    "only what calls out knows httpx": ("activities/steps.py", "import httpx"),
    "no circles among siblings": ("translator/plan.py", "import translator.template"),
}


def test_every_contract_has_a_breach_to_prove_it() -> None:
    assert {*BREACHES} == {each["name"] for each in contracts()}


@pytest.mark.slow
@pytest.mark.parametrize("name", BREACHES)
def test_a_broken_contract_is_reported(name: str, tmp_path: Path) -> None:
    copy_of_ours(tmp_path)
    module, statement = BREACHES[name]
    with (tmp_path / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{statement}\n")

    done = lint_imports(tmp_path)

    assert done.returncode == 1
    assert f"{name} BROKEN" in done.stdout


@pytest.mark.slow
def test_all_contracts_are_kept(tmp_path: Path) -> None:
    copy_of_ours(tmp_path)

    done = lint_imports(tmp_path)

    assert done.returncode == 0, done.stdout


def copy_of_ours(folder: Path) -> None:
    for path in [ROOT / "pyproject.toml", *SOURCES]:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


# --- codes -------------------------------------------------------------------------------------

CODE: Final = re.compile(r"SOP\d{3}")


def raised_codes(tree: ast.Module) -> set[str]:
    """Return the codes in the texts of a module: not in docstrings, and not as keys of tables."""
    quiet = {id(node) for each in ast.walk(tree) for node in _quiet(each)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in quiet
    ]
    return {code for text in texts for code in CODE.findall(text)}


def _quiet(node: ast.AST) -> list[ast.expr]:
    """Return the texts of `node` that name a code without reporting it."""
    match node:
        case ast.Expr(value=ast.Constant() as text):
            return [text]
        case ast.Dict(keys=keys):
            return [key for key in keys if key is not None]
        case ast.Call(func=ast.Name(id="rule"), args=args):
            return args
        case _:
            return []


@cache
def documented() -> frozenset[str]:
    return frozenset({*code_docs(), *CODES})


@cache
def raised() -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for source in ALL:
        for code in raised_codes(source.tree):
            found.setdefault(code, []).append(source.name)
    return found


def test_every_code_that_is_raised_is_documented() -> None:
    assert {code: where for code, where in raised().items() if code not in documented()} == {}


def test_every_documented_code_is_raised() -> None:
    assert documented() - {*raised()} == set()


def test_no_code_is_documented_twice() -> None:
    assert {*code_docs()} & {*CODES} == set()


def test_every_code_stands_on_the_page() -> None:
    shown = set(re.findall(r"^### (SOP\d{3}): ", PAGE.read_text("utf-8"), re.MULTILINE))

    assert shown == documented()


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_operational_code_says_what_why_and_how(code: str) -> None:
    doc = CODES[code]

    assert all(part and part == part.strip() for part in doc)
    assert not doc.title.endswith(".")
    assert all(part.endswith((".", "`")) for part in (doc.requires, doc.why, doc.fix))


# --- what is tracked ---------------------------------------------------------------------------

# put together, so that this file does not hold what it looks for
MARKS: Final = re.compile("|".join((r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bXX" + r"X\b")))
MACHINE_PATH: Final = re.compile(r"(?<![\w.:/-])/(?:home|root|Users|work|opt/[\w-]+)/[\w.-]+/")
HOSTS: Final = ("pypi" + ".org", "files.python" + "hosted.org", "proxy.golang" + ".org")
INDEX: Final = re.compile(r"--(?:extra-)?index" + r"-url|https?://[^\s\"'`]*/simple\b")


@cache
def tracked() -> Sequence[tuple[str, str]]:
    """Return names and contents of the text files that git tracks or would track."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(listing, capture_output=True, check=True, cwd=ROOT, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"git cannot list the files: {error}")
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    contents = [(path, path.read_bytes()) for path in paths if path.is_file()]
    return [
        (path.relative_to(ROOT).as_posix(), data.decode())
        for path, data in contents
        if b"\0" not in data[:1024]
    ]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number} {found[0]}"
        for name, text in tracked()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if (found := pattern.search(line))
    ]


def test_no_unfinished_work_is_marked() -> None:
    assert lines_with(MARKS) == []


def test_no_path_of_a_machine_is_tracked() -> None:
    assert lines_with(MACHINE_PATH) == []


def test_no_package_registry_is_named() -> None:
    assert lines_with(re.compile("|".join(map(re.escape, HOSTS)))) == []
    assert lines_with(INDEX) == []


# --- tests -------------------------------------------------------------------------------------


def test_every_folder_that_needs_a_server_or_a_browser_is_marked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    declared = {each.split(":")[0] for each in settings["tool"]["pytest"]["ini_options"]["markers"]}
    conftest = ast.parse((ROOT / "tests" / "conftest.py").read_text("utf-8"))
    (folders,) = [
        ast.literal_eval(node.value)
        for node in conftest.body
        if isinstance(node, ast.Assign) and "MARKED_FOLDERS" in ast.unparse(node)
    ]

    assert {*folders} <= declared
    assert all((ROOT / "tests" / name).is_dir() for name in folders)
