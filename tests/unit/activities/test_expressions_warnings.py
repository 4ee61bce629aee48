"""Why a fragment stays text: what a person is told, and what is never shown."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import JsonValue

from activities.contract import Unresolved
from activities.expressions import EvaluationError, ExpressionWarning, Sandbox
from activities.expressions.evaluation import MOST_WARNINGS
from translator.plan import Variable
from translator.values import classify

CONTEXT: dict[str, JsonValue] = {"s": "text", "l": [1, 2], "big": "x" * 500, "huge": 10**5000}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(processes=1) as opened:
        yield opened


@pytest.mark.parametrize(
    ("inside", "reason", "fix"),
    [
        (" s", "begins with a blank", "without the blank"),
        ("s:-x", "is not one expression", "meant for a shell"),
        ("lambda", "is not a Python expression", "correct it"),
        ("s.__class__", "uses the attribute '__class__'", "compute the value in a task"),
        ("s | shout", "uses the filter 'shout'", "(a | b)"),
        ("ss", "refers to 'ss', which has no value; did you mean 's'?", "declare a variable"),
        ("open('f')", "uses the name 'open'", "compute the value"),
        ("os", "uses 'os' itself", "compute the value"),
        ("l[9]", "raises IndexError: list index out of range", "how long"),
        ("int(s)", "raises ValueError: invalid literal for int() with base 10: 'text'", "int(x)"),
        ("s.upper", "raises AttributeError", "with brackets"),
        ("1 / 0", "raises ZeroDivisionError: division by zero", "test for 0"),
        ("os.path.exists(s)", "raises PermissionError", "nothing outside"),
        ("huge", "cannot be written as text", "compute the value"),
    ],
)
async def test_a_fragment_that_stays_text_says_why(
    sandbox: Sandbox, inside: str, reason: str, fix: str
) -> None:
    warnings: list[ExpressionWarning] = []
    text = f"a ${{{inside}}} b ${{s + '!'}}"

    result = await sandbox.render(text, CONTEXT, warnings=warnings)

    assert result == f"a ${{{inside}}} b text!"
    (warning,) = warnings
    assert reason in warning.reason
    assert fix in warning.fix
    assert warning.expression == f"${{{inside}}}"


async def test_what_is_rendered_gives_no_warning(sandbox: Sandbox) -> None:
    warnings: list[ExpressionWarning] = []

    await sandbox.render(["${s}", "${l[0]} ${s}", {"k": "${ }"}], CONTEXT, warnings=warnings)

    assert warnings == []


async def test_values_that_were_seen_are_shortened(sandbox: Sandbox) -> None:
    warnings: list[ExpressionWarning] = []

    await sandbox.render("${big + 1} ${l + s}", CONTEXT, warnings=warnings)

    first, second = warnings
    assert len(first.seen["big"]) == 40
    assert second.seen == {"l": "[1, 2]", "s": "'text'"}
    assert "(with l = [1, 2], s = 'text')" in second.text


async def test_warnings_are_collected_up_to_a_bound(sandbox: Sandbox) -> None:
    warnings: list[ExpressionWarning] = []
    text = "".join(f"${{no{number}}}" for number in range(5 * MOST_WARNINGS))

    assert await sandbox.render(text, CONTEXT, warnings=warnings) == text
    assert len(warnings) == MOST_WARNINGS


async def test_strict_turns_the_first_warning_into_an_error(sandbox: Sandbox) -> None:
    warnings: list[ExpressionWarning] = []
    await sandbox.render("${l[9]} ${nope}", CONTEXT, warnings=warnings)

    with pytest.raises(EvaluationError) as caught:
        await sandbox.render("${l[9]} ${nope}", CONTEXT, strict=True)

    assert str(caught.value) == warnings[0].refusal


def asked(**texts: str) -> Unresolved:
    declared = ("pw", "token", "own", "out", "bad")
    plain = Variable(key="pw", kind="plain", value=classify("hunter2"), secret=True)
    token = Variable(key="token", kind="splice", value=classify("t-${pw}"))
    own = Variable(key="own", kind="splice", value=classify("hunter${1/0}"), secret=True)
    bad = Variable(key="bad", kind="splice", value=classify("${[][1]}"))
    out = Variable(key="out", kind="output")
    variables = {each.key: each for each in (plain, token, own, bad, out)}
    values = {name: classify(text, declared) for name, text in texts.items()}
    return Unresolved(values=values, variables=variables)


async def test_a_warning_names_the_input_or_variable(sandbox: Sandbox) -> None:
    warnings: list[ExpressionWarning] = []

    await sandbox.evaluate(asked(cmd="${out} ${bad}"), warnings=warnings)

    places = [warning.place for warning in warnings]
    assert places == ["variable 'own'", "variable 'bad'", "input 'cmd'"]
    assert "has no value yet" in warnings[-1].reason


async def test_a_secret_is_never_shown(sandbox: Sandbox) -> None:
    warnings: list[ExpressionWarning] = []
    unresolved = asked(a="${int(pw)}", b="${int(token)}", c="${own[99]}")

    await sandbox.evaluate(unresolved, warnings=warnings)

    shown = "\n".join(warning.text for warning in warnings)
    assert len(warnings) == 5
    assert "hunter" not in shown
    assert "1/0" not in shown
    assert "ValueError, whose text is not shown" in shown


async def test_a_raw_value_is_meant_as_it_is(sandbox: Sandbox) -> None:
    warnings: list[ExpressionWarning] = []
    unresolved = asked(script="${ x}", cmd="${pw + '!'}")

    found = await sandbox.evaluate(unresolved, warnings=warnings, raw=["script", "other"])

    assert found == {"script": "${ x}", "cmd": "hunter2!"}
    assert {warning.place for warning in warnings} == {"variable 'own'", "variable 'bad'"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${d['a'][1]}", 2),
        ('${d["a"]}', [1, 2]),
        ("${d['a'][9]}", "${d['a'][9]}"),
        ("${d['a'][-1]}", "2"),
        ("<${d['a']}>", "<[1, 2]>"),
        ("${d['__x']}", "${d['__x']}"),
    ],
)
async def test_plain_subscripts_keep_their_type_where_the_engine_is_set_so(
    sandbox: Sandbox, text: str, result: JsonValue
) -> None:
    context: dict[str, JsonValue] = {"d": {"a": [1, 2], "__x": 1}}

    assert await sandbox.render(text, context, render_obj=True) == result


async def test_free_names_offer_more_builtins_and_nothing_that_reaches_out(
    sandbox: Sandbox,
) -> None:
    text = "${ord('A')} ${hex(255)} ${ValueError('x')} ${chr(65)} ${exit()} ${eval('1')}"

    freed = await sandbox.render(text, {}, names="free")

    assert freed == "65 0xff x ${chr(65)} ${exit()} ${eval('1')}"
    assert await sandbox.render(text, {}) == text


def asking(**values: JsonValue) -> Unresolved:
    variable = Variable(key="s", kind="plain", value=classify("text"))
    return Unresolved(
        values={name: classify(value) for name, value in values.items()}, variables={"s": variable}
    )


async def test_a_value_is_called_what_it_is(sandbox: Sandbox) -> None:
    warnings: list[ExpressionWarning] = []

    await sandbox.evaluate(asking(x="${s / 2}"), warnings=warnings, noun="output")

    assert warnings[0].place == "output 'x'"


@pytest.mark.parametrize("strict", [False, True])
async def test_of_a_secret_value_s_own_text_nothing_is_shown(
    sandbox: Sandbox,
    strict: bool,
) -> None:
    warnings: list[ExpressionWarning] = []

    try:
        await sandbox.evaluate(
            asking(x="${s / 2}"), warnings=warnings, strict=strict, secret=["x", "absent"]
        )
    except EvaluationError as refused:
        told = str(refused)
    else:
        told = warnings[0].text

    assert "s / 2" not in told
    assert "text'" not in told


async def test_strict_says_that_the_expression_cannot_be_evaluated(sandbox: Sandbox) -> None:
    with pytest.raises(EvaluationError, match=r"in input 'x' cannot be evaluated: it raises Type"):
        await sandbox.evaluate(asking(x="${s / 2}"), strict=True)
