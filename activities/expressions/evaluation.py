"""One evaluation: variables in the order in which they need each other, then the values."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final, assert_never

from pydantic import JsonValue

from activities.expressions.explain import MASK, ExpressionWarning, explain, hidden, shortened
from activities.expressions.filling import Known, evaluated, filled, kept
from activities.expressions.filters import filtered
from activities.expressions.program import piece
from activities.expressions.runner import ExceededError, Outcome, Runner
from translator.plan import Value, Variable
from translator.values import check, reads, source

MOST_WARNINGS: Final = 100
"""How many warnings are collected at most: a template may hold thousands of broken fragments."""

Lazy = Callable[[str, JsonValue], Awaitable[JsonValue]]
"""Computes a lazy variable from its code and rendered value."""


class EvaluationError(Exception):
    """A value cannot be had; the text is for a person and names what failed and why."""


class Evaluation:
    """Resolves values over the variables that it is told of; used once.

    `warnings` collects the fragments that stay as they are written, when it is given; with `strict`
    the first of them is an error.
    """

    def __init__(
        self,
        runner: Runner,
        known: Known,
        warnings: list[ExpressionWarning] | None = None,
        *,
        strict: bool = False,
    ) -> None:
        self._runner = runner
        self._known = known
        self._warnings = warnings
        self._strict = strict
        self._secret_places: set[str] = set()

    def hide(self, places: Iterable[str]) -> None:
        """Show nothing of the texts in these places."""
        self._secret_places.update(places)

    async def add(self, variable: Variable, lazy: Lazy | None) -> None:
        """Add a variable, rendered and computed as its kind asks for.

        Raises:
            EvaluationError: a lazy one fails, or an expression exceeds a limit.
        """
        key, known = variable.key, self._known
        if variable.secret or any(name in known.secrets for name in reads(variable.value)):
            known.secrets.add(key)
        match variable.kind:
            case "output":
                known.pending[key] = _why_without_value(variable)
            case "plain":
                known.add(key, source(variable.value))
            case "splice":
                known.add(key, await self._rendered(variable))
            case "lazy":
                rendered = await self._rendered(variable)
                known.add(key, await _computed(variable, rendered, lazy), computed=True)
            case _:
                assert_never(variable.kind)

    async def _rendered(self, variable: Variable) -> JsonValue:
        place = f"variable {variable.key!r}"
        if variable.secret:
            self._secret_places.add(place)
        return (await self.resolve({place: variable.value}))[place]

    async def resolve(
        self, values: Mapping[str, Value], quiet: Collection[str] = ()
    ) -> dict[str, JsonValue]:
        """Return the values by the same names, which are places as a warning calls them.

        Of the places in `quiet` nothing is told.

        Raises:
            EvaluationError: an expression exceeds a limit, or is the first warning in strict use.
        """
        places: dict[str, str] = {}
        for place, value in values.items():
            for inside in evaluated(value, self._known):
                places.setdefault(inside, place)
        outcomes = await self._outcomes(places) if places else {}
        done = {
            inside: filtered(outcome.text, check(inside).filters)
            for inside, outcome in outcomes.items()
            if not outcome.failure
        }
        if self._strict or self._warnings is not None:
            told = {place: value for place, value in values.items() if place not in quiet}
            self._tell(told, outcomes, done)
        return {name: filled(value, self._known, done) for name, value in values.items()}

    async def _outcomes(self, places: Mapping[str, str]) -> dict[str, Outcome]:
        """Return what the fragments gave that may run; those with nothing to run give nothing."""
        known = self._known
        usable = [inside for inside in places if _is_usable(inside, known)]
        blank = {inside: Outcome() for inside in usable if check(inside).expression is None}
        pieces = {inside: piece(inside, known.values, known.objects) for inside in usable}
        ready = {inside: found for inside, found in pieces.items() if found is not None}
        try:
            return blank | (await self._runner.run(ready, known.values) if ready else {})
        except ExceededError as failure:
            place = places[failure.inside]
            is_secret = place in self._secret_places
            text = _exceeded(failure, MASK if is_secret else f"${{{failure.inside}}}", place)
            raise EvaluationError(text) from None

    def _tell(
        self, values: Mapping[str, Value], outcomes: Mapping[str, Outcome], done: Mapping[str, str]
    ) -> None:
        """Collect a warning for each fragment that stays, once in each place."""
        for place, value in values.items():
            for inside in dict.fromkeys(kept(value, self._known, done)):
                if self._warnings is not None and len(self._warnings) >= MOST_WARNINGS:
                    return
                self._collect(self._warning(place, inside, outcomes.get(inside)))

    def _warning(self, place: str, inside: str, outcome: Outcome | None) -> ExpressionWarning:
        if place in self._secret_places:
            return hidden(place)
        return explain(place, inside, self._known, outcome)

    def _collect(self, warning: ExpressionWarning) -> None:
        if self._strict:
            raise EvaluationError(warning.refusal)
        if self._warnings is not None:
            self._warnings.append(warning)


def _why_without_value(variable: Variable) -> str:
    if variable.code:
        return f"it is computed by {variable.code!r} when a run needs it"
    return "it is the output of a node that has not ended"


async def _computed(variable: Variable, rendered: JsonValue, lazy: Lazy | None) -> JsonValue:
    if lazy is None:
        raise EvaluationError(
            f"variable {variable.key!r} is computed by {variable.code!r}, which is not at hand here"
        )
    try:
        return await lazy(variable.code, rendered)
    except Exception as failure:
        # Whatever a plugin raises is its answer, and a node's error, never the sandbox's fault.
        what = str(failure) or type(failure).__name__
        raise EvaluationError(f"variable {variable.key!r}: {what}") from failure


def _is_usable(inside: str, known: Known) -> bool:
    checked = check(inside)
    return not checked.problem and not checked.unknown(known.values, known.offered)


def _exceeded(failure: ExceededError, expression: str, place: str) -> str:
    where = f" in {place}" if place else ""
    what = f"the expression {shortened(expression)!r}{where} {failure}"
    return f"{what}; make it do less, or compute it in a node"
