import pytest
from pydantic import JsonValue

from activities.builtin.ask import ask
from activities.contract import NOTE_CHARS, Done, Failed, Waiting
from activities.testing import Stage

QUESTION: dict[str, JsonValue] = {"question": "发布到生产?", "choices": "yes, no"}


async def test_the_question_stands_at_the_node() -> None:
    async with Stage() as stage:
        outcome = await stage.run(ask, QUESTION)

    assert isinstance(outcome, Waiting)
    assert outcome.note == "发布到生产? (yes | no)"


@pytest.mark.parametrize("data", [{"answer": "yes"}, {"answer": " YES "}, "Yes"])
async def test_an_answer_among_the_choices_ends_it(data: JsonValue) -> None:
    async with Stage() as stage:
        outcome = await stage.run(ask, QUESTION, [data])

    assert outcome == Done(outputs={"answer": "yes"}, note="answered: yes")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"answer": "maybe"}, "refused 'maybe', not among the choices"),
        ({"reply": "yes"}, 'no answer in it, give {"answer": ...}'),
        (None, 'no answer in it, give {"answer": ...}'),
    ],
)
async def test_another_answer_is_refused_and_the_question_stays(data: JsonValue, why: str) -> None:
    async with Stage() as stage:
        outcome = await stage.run(ask, QUESTION, [data])

    assert isinstance(outcome, Waiting)
    assert outcome.note == f"{why}; 发布到生产? (yes | no)"


async def test_after_a_refusal_the_next_answer_counts() -> None:
    async with Stage() as stage:
        outcome = await stage.run(ask, QUESTION, ["maybe", {"answer": "no", "why": "freeze"}])

    assert isinstance(outcome, Done)
    assert outcome.outputs == {"answer": "no", "comment": {"why": "freeze"}}
    assert ask.traits.multiple_callbacks


async def test_free_text_is_taken_as_it_is() -> None:
    async with Stage() as stage:
        outcome = await stage.run(ask, {"question": "Which version?"}, ["", "1.2.3"])

    assert isinstance(outcome, Done)
    assert outcome.outputs == {"answer": "1.2.3"}


async def test_an_empty_answer_is_the_default() -> None:
    async with Stage() as stage:
        outcome = await stage.run(ask, {**QUESTION, "default": "no"}, [{}])

    assert isinstance(outcome, Done)
    assert outcome.outputs == {"answer": "no"}


async def test_a_default_that_is_no_choice_is_a_failure() -> None:
    async with Stage() as stage:
        outcome = await stage.run(ask, {**QUESTION, "default": "perhaps"})

    assert isinstance(outcome, Failed)
    assert "none of the choices: yes | no" in outcome.error


async def test_a_long_question_is_cut_at_the_node() -> None:
    async with Stage() as stage:
        outcome = await stage.run(ask, {"question": "w" * 500})

    assert isinstance(outcome, Waiting)
    assert len(outcome.note) == NOTE_CHARS
