"""The sandbox: expressions run in a pool of separate processes, with limits.

A fragment that fails, is forbidden or names something unknown stays as it was written, as in the
real engine, and can be told of. What the engine would not survive (endless work, endless memory) is
an EvaluationError.
"""

from collections.abc import Collection, Mapping
from typing import Final, Literal, Self

from pydantic import JsonValue

from activities.contract import Unresolved
from activities.expressions.evaluation import Evaluation, Lazy
from activities.expressions.explain import ExpressionWarning
from activities.expressions.filling import Known
from activities.expressions.runner import Limits, Runner
from translator.values import FREE_BUILTINS, MODULES, classify

DEFAULT_LIMITS: Final = Limits()


class Sandbox:
    """Evaluates expressions; one for each worker, an async context manager.

    `timezone` is the IANA name of the zone in which templates read the clock.
    """

    def __init__(
        self,
        *,
        timezone: str = "Asia/Shanghai",
        limits: Limits = DEFAULT_LIMITS,
        processes: int | None = None,
    ) -> None:
        self._runner = Runner(timezone, limits, processes)

    async def __aenter__(self) -> Self:
        await self._runner.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.close()

    async def evaluate(  # noqa: PLR0913  the engine's settings, each optional and by name
        self,
        unresolved: Unresolved,
        lazy: Lazy | None = None,
        *,
        modules: Collection[str] = MODULES,
        render_obj: bool = False,
        warnings: list[ExpressionWarning] | None = None,
        strict: bool = False,
        raw: Collection[str] = (),
        secret: Collection[str] = (),
        noun: str = "input",
    ) -> dict[str, JsonValue]:
        """Resolve the values by name; each variable is rendered once, before those that read it.

        `warnings` collects why fragments stay as they are written; with `strict` the first one is
        an error. The values named in `raw` are meant as they are, and never warned of; nothing is
        shown of those named in `secret`. `noun` is what a warning calls a value. `modules` and
        `render_obj` as in `render`.

        Raises:
            EvaluationError: a lazy variable fails, an expression exceeds a limit, or stays text in
                strict use.
        """
        known = Known(offered=frozenset(modules), keeps_types=render_obj)
        evaluation = Evaluation(self._runner, known, warnings, strict=strict)
        for variable in unresolved.variables.values():
            await evaluation.add(variable, lazy)
        places = {name: f"{noun} {name!r}" for name in unresolved.values}
        evaluation.hide(places[name] for name in secret if name in places)
        values = {places[name]: value for name, value in unresolved.values.items()}
        found = await evaluation.resolve(values, quiet={places[n] for n in raw if n in places})
        return {name: found[place] for name, place in places.items()}

    async def render(  # noqa: PLR0913  the engine's settings, each optional and by name
        self,
        value: JsonValue,
        context: Mapping[str, JsonValue],
        modules: Collection[str] = MODULES,
        *,
        render_obj: bool = False,
        names: Literal["listed", "free"] = "listed",
        warnings: list[ExpressionWarning] | None = None,
        strict: bool = False,
    ) -> JsonValue:
        """Render one template value by the engine's rules, with the variables of `context`.

        `render_obj` keeps the type of plain subscripts, and `names="free"` offers more builtins:
        what older deployments of the engine may be set to. `warnings` and `strict` as above.

        Raises:
            EvaluationError: an expression exceeds a limit, or stays text in strict use.
        """
        extra = FREE_BUILTINS if names == "free" else frozenset[str]()
        known = Known(offered=frozenset(modules) | extra, keeps_types=render_obj)
        for key, given in context.items():
            known.add(key, given)
        evaluation = Evaluation(self._runner, known, warnings, strict=strict)
        return (await evaluation.resolve({"": classify(value, context)}))[""]
