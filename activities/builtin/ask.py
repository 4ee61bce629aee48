"""`ask`: asks a person, and goes on with the answer.

The question stands at the node, on the page of the run too. The answer is a callback whose data is
`{"answer": ...}`, or the answer alone. Asking is safe to repeat: nothing happens outside.
"""

from typing import Any, Final, cast

from pydantic import Field, JsonValue, field_validator

from activities.sdk import Call, Inputs, Outputs, PluginError, WaitForCallback, plugin

MAX_ANSWER_CHARS: Final = 4000
_SHOWN_CHARS: Final = 40


class AskInputs(Inputs):
    """The question, and what may be answered."""

    question: str = Field(min_length=1, description="What everybody who sees the run may read")
    choices: list[str] = Field(
        default_factory=list[str],
        description="The answers that count, as a list or with commas between; none for free text",
    )
    default: str = Field(default="", description="What an empty answer means; none refuses it")

    @field_validator("choices", mode="before")
    @classmethod
    def _split(cls, choices: Any) -> Any:  # Any: JSON enters here
        items = choices.split(",") if isinstance(choices, str) else choices
        if not isinstance(items, list):
            return items
        texts = [str(item).strip() for item in cast("list[object]", items)]
        return [text for text in dict.fromkeys(texts) if text]


class AskOutputs(Outputs):
    """What was answered."""

    answer: str = Field(description="The answer; of the choices, as they are written there")
    comment: JsonValue = Field(default=None, description="Whatever else came with the answer")


@plugin(
    "ask",
    version="v1.0",
    name="Ask a person",
    group="Core",
    idempotent=True,
    multiple_callbacks=True,
)
async def ask(call: Call[AskInputs]) -> AskOutputs:
    """Ask a person a question and wait for the answer: one of the choices, or free text.

    Answer it with the verb `callback` and the data `{"answer": "yes"}`. An answer that is none of
    the choices is refused at the node, which goes on waiting.
    """
    given = call.inputs
    if given.default and given.choices and _chosen(given, given.default) is None:
        raise PluginError(
            f"the default {given.default!r} is none of the choices: {_listed(given.choices)}"
        )
    raise _waiting(call)


@ask.callback
async def _(call: Call[AskInputs], data: JsonValue) -> AskOutputs:
    answer, rest = _read(data)
    chosen = _chosen(call.inputs, answer or call.inputs.default)
    if chosen is None:
        raise _waiting(call, _refusal(call.inputs, answer))
    call.note(f"answered: {chosen}")
    return AskOutputs(answer=chosen, comment=rest) if rest else AskOutputs(answer=chosen)


def _waiting(call: Call[AskInputs], refusal: str = "") -> WaitForCallback:
    given = call.inputs
    choices = f" ({_listed(given.choices)})" if given.choices else ""
    call.note(f"{refusal}{'; ' if refusal else ''}{given.question}{choices}")
    return WaitForCallback()


def _read(data: JsonValue) -> tuple[str, JsonValue]:
    """Return the answer in the data of a callback, and what else there is."""
    if not isinstance(data, dict):
        return _text(data), None
    rest = {key: value for key, value in data.items() if key != "answer"}
    return _text(data.get("answer")), rest


def _text(value: JsonValue) -> str:
    return "" if value is None or isinstance(value, list | dict) else str(value).strip()


def _chosen(given: AskInputs, answer: str) -> str | None:
    """Return the answer that counts, None where it is none; capitals make no difference."""
    if not given.choices:
        return answer if 0 < len(answer) <= MAX_ANSWER_CHARS else None
    if answer in given.choices:
        return answer
    near = [choice for choice in given.choices if choice.casefold() == answer.casefold()]
    return near[0] if len(near) == 1 else None


def _refusal(given: AskInputs, answer: str) -> str:
    if not answer:
        return 'no answer in it, give {"answer": ...}'
    if not given.choices:
        return f"too long, at most {MAX_ANSWER_CHARS} characters"
    short = answer if len(answer) <= _SHOWN_CHARS else f"{answer[:_SHOWN_CHARS]}…"
    return f"refused {short!r}, not among the choices"


def _listed(choices: list[str]) -> str:
    return " | ".join(choices)
