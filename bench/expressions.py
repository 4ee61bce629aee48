"""How long values take: a plain reference, a condition, an expression in the warm sandbox.

Run it with `python -m bench.expressions`; it prints a table of medians beside their goals, each met
or missed. The last line counts how often a template of 1,000 nodes has a fragment parsed.
"""

import ast
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final
from unittest.mock import patch

from pydantic import JsonValue

from activities.contract import RunSettings, Unresolved
from activities.expressions import Sandbox
from bench.compile import document
from translator.check import check as check_template
from translator.compile import compile_template
from translator.parse import parse
from translator.plan import ROOT, Flow, Literal, Plan, Ref, Value, Variable
from translator.values import (
    check,
    classify,
    expression_problem,
    holds,
    operands,
    parse_condition,
    resolve,
)
from workflows.machine.machine import Machine

ROUNDS: Final = 15
CALLS: Final = 2_000
SANDBOX_CALLS: Final = 300
REFERENCES: Final = 10

KNOWN: Final[dict[str, JsonValue]] = {"ip": "10.0.0.1", "n": 5, "hosts": ["a", "b"]}


def per_call_us(call: Callable[[], object], calls: int = CALLS) -> float:
    """Return the median over rounds of the microseconds that one call takes."""
    rounds: list[float] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(rounds)


async def awaited_us(call: Callable[[], Awaitable[object]], calls: int = SANDBOX_CALLS) -> float:
    """Return the median of the microseconds that one awaited call takes."""
    times: list[float] = []
    for _ in range(calls):
        start = time.perf_counter()
        await call()
        times.append((time.perf_counter() - start) * 1e6)
    return statistics.median(times)


def condition() -> Callable[[], bool]:
    """Return a test of a parsed condition, its operands' resolution included."""
    rule = parse_condition("${n} > 3 and '${ip}' == '10.0.0.1'").rule
    if rule is None:
        raise SystemExit("the bench's own condition does not parse")
    values = operands(rule)
    return lambda: holds(rule, {value: resolve(value, KNOWN) for value in values})


def gathering(references: int, *, missing: bool = False) -> Callable[[], object]:
    """Return how a node's values, each a plain reference, are resolved in the workflow."""
    keys = [f"v{number}" for number in range(references)]
    known = {key: Variable(key=key, kind="plain", value=Literal(value="text")) for key in keys}
    flow = Flow(start="start", nodes={}, variables=known)
    core = Machine(Plan(template_key="bench", flow=flow), RunSettings()).core
    values: dict[str, Value] = {key: Ref(key=f"x{key}" if missing else key) for key in keys}
    return lambda: core.gather(ROOT, values)


def fresh() -> Callable[[], object]:
    """Return a check of a fragment that was never seen before, each time another one."""
    numbers = count()
    return lambda: check(f"ip + '-' + str(n + {next(numbers)})")


def parses_per_fragment(size: int = 1_000) -> float:
    """Return how often each expression of a template is parsed on its way to a plan."""
    data = document(size)
    with patch.object(ast, "parse", wraps=ast.parse) as parsing:
        for template in parse(data, "bench.json").templates:
            check_template(template, None)
            compile_template(template)
        codes = [call.args[0] for call in parsing.call_args_list]
    return len(codes) / len(set(codes))


async def rows() -> list[tuple[str, float, float]]:
    """Return what was measured: name, microseconds, goal in microseconds."""
    reference, splice = classify("${ip}"), classify("ping -c ${n} ${ip}")
    mixed = "${ip}-${n + 1} ${len(hosts)}"
    unresolved = Unresolved(
        values={"cmd": classify("${','.join(hosts)} ${n + 1}")},
        variables={
            key: Variable(key=key, kind="plain", value=classify(value))
            for key, value in KNOWN.items()
        },
    )
    async with Sandbox(processes=1) as sandbox:
        await sandbox.evaluate(unresolved)
        evaluated = await awaited_us(lambda: sandbox.evaluate(unresolved))
        told = await awaited_us(lambda: sandbox.evaluate(unresolved, warnings=[]))
    return [
        ("plain reference", per_call_us(lambda: resolve(reference, KNOWN)), 5),
        (
            "reference, gathered by a node",
            per_call_us(gathering(REFERENCES)) / REFERENCES,
            5,
        ),
        (
            "the same, none has a value",
            per_call_us(gathering(REFERENCES, missing=True), 200) / REFERENCES,
            50,
        ),
        ("splice of two references", per_call_us(lambda: resolve(splice, KNOWN)), 10),
        ("condition with two references", per_call_us(condition()), 50),
        ("classify a text", per_call_us(lambda: classify("ping -c ${n} ${ip}")), 50),
        ("classify an expression", per_call_us(lambda: classify(mixed, KNOWN)), 50),
        (
            "why it can never be evaluated",
            per_call_us(lambda: expression_problem(mixed, KNOWN)),
            10,
        ),
        ("check of a new fragment", per_call_us(fresh(), 500), 150),
        ("expression in the warm sandbox", evaluated, 1_000),
        ("the same, collecting warnings", told, 1_000),
    ]


def main() -> None:
    """Measure and print the table."""
    print(f"{'what':<32}{'median us':>12}{'goal us':>10}")
    for name, took, goal in asyncio.run(rows()):
        print(f"{name:<32}{took:>12.2f}{goal:>10.0f}  {'met' if took <= goal else 'missed'}")
    times = parses_per_fragment()
    print(
        f"{'parses of one fragment':<32}{times:>12.2f}{1:>10}  {'met' if times <= 1 else 'missed'}"
    )


if __name__ == "__main__":
    main()
