"""Attempts to break out of the sandbox, each one written for this project: `breakouts.json`.

A row says what it tries; its text is rendered as a template, with the engine's names listed and
freed, and where it parses tested as a condition. `repeat` builds a text that is too long to store,
`then` is rendered after it and gives what it would have given without it.
"""

import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Literal

import pytest
import pytest_asyncio
from pydantic import JsonValue

from activities.contract import Unresolved
from activities.expressions import EvaluationError, ExpressionWarning, Limits, Sandbox
from activities.expressions.program import Piece
from activities.expressions.runner import ExceededError, Runner
from translator.plan import Variable
from translator.values import (
    FREE_BUILTINS,
    MODULES,
    OBJECT_TEXT,
    RuleError,
    classify,
    holds,
    insides,
    operands,
    parse_condition,
    references,
)

ROWS: Final[list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("breakouts.json").read_text("utf-8")
)
GROUPS: Final = sorted({row["group"] for row in ROWS})
HEAVY: Final = {
    *("too much memory", "huge numbers", "regular expressions", "endless work"),
    *("long and deep code", "codecs"),
}
SECRET: Final = "canary-7f3a9c"
MARKS: Final = (SECRET, "root:x:0", "uid=", "PATH=")
NAMES: Final[tuple[Literal["listed", "free"], ...]] = ("listed", "free")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(processes=1, limits=Limits(seconds=0.05)) as opened:
        yield opened


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = tmp_path / "canary.txt"
    file.write_text(SECRET, "utf-8")
    monkeypatch.setenv("CANARY_ENV", SECRET)
    return str(file)


def context() -> dict[str, JsonValue]:
    host: JsonValue = {"ip": "10.0.0.1", OBJECT_TEXT: "a host"}
    return {"s": "text", "i": 5, "l": [3, 1, 2], "d": {"a": 1}, "host": host}


def text_of(row: dict[str, Any], canary: str) -> str:
    if "repeat" not in row:
        return str(row["text"]).replace("CANARY_FILE", canary)
    repeat = row["repeat"]
    return repeat["head"] + repeat["unit"] * repeat["times"] + repeat["tail"]


async def as_condition(sandbox: Sandbox, text: str) -> None:
    """Test `text` as one side of a condition, as a gateway does."""
    known = context()
    condition = parse_condition(f"{text} == 1", known)
    if condition.rule is None:
        return
    values = {str(number): value for number, value in enumerate(operands(condition.rule))}
    variables = {
        key: Variable(key=key, kind="plain", value=classify(value)) for key, value in known.items()
    }
    found = await sandbox.evaluate(Unresolved(values=values, variables=variables))
    with contextlib.suppress(RuleError):
        holds(condition.rule, {value: found[name] for name, value in values.items()})


def is_clean(result: JsonValue, warnings: list[ExpressionWarning]) -> bool:
    shown = repr(result) + "".join(warning.reason for warning in warnings)
    return not any(mark in shown for mark in MARKS)


def test_the_corpus_is_large_and_says_of_each_row_what_it_tries() -> None:
    assert len(ROWS) >= 400
    assert len({(row["group"], row["tries"]) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("group", GROUPS)
async def test_nothing_breaks_out(sandbox: Sandbox, canary: str, group: str) -> None:
    for row in (row for row in ROWS if row["group"] == group):
        text = text_of(row, canary)
        for names in NAMES if FREE_BUILTINS & {*references(text)} else NAMES[:1]:
            warnings: list[ExpressionWarning] = []
            with contextlib.suppress(EvaluationError):
                result = await sandbox.render(text, context(), names=names, warnings=warnings)
                assert is_clean(result, warnings), row
            assert await sandbox.render("${i + 1}", context()) == "6", row

        with contextlib.suppress(EvaluationError):
            await as_condition(sandbox, text)


@pytest.mark.parametrize("row", [row for row in ROWS if "then" in row], ids=lambda r: r["tries"])
async def test_one_evaluation_leaves_nothing_to_the_next(
    sandbox: Sandbox, row: dict[str, Any]
) -> None:
    known = context()
    await sandbox.render(row["text"], known)

    assert known == context()
    assert await sandbox.render(row["then"], known) == row["gives"]


def test_the_canary_would_be_found(canary: str) -> None:
    assert not is_clean(Path(canary).read_text("utf-8"), [])
    assert not is_clean(os.environ["CANARY_ENV"], [])


@pytest.mark.parametrize("group", sorted(set(GROUPS) - HEAVY))
async def test_nothing_gets_out_even_where_the_allow_list_is_passed_by(
    canary: str, group: str
) -> None:
    """The allow list is one wall; what it lets through stands before the interpreter's own."""
    runner = Runner("Asia/Shanghai", Limits(seconds=0.05), 1)
    await runner.open()
    try:
        for row in (row for row in ROWS if row["group"] == group):
            for inside in insides(text_of(row, canary)):
                code = inside.split("|")[0]
                alone = Piece(f"str({code})", frozenset(), MODULES, frozenset())
                with contextlib.suppress(ExceededError):
                    outcome = (await runner.run({inside: alone}, {}))[inside]
                    assert is_clean([*outcome], []), row
    finally:
        await runner.close()
