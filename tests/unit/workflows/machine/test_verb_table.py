from collections.abc import Callable

import pytest

from tests.helpers.runs import Run
from tests.tools.verb_table import PAGE, SECTION, STATES, asked
from workflows.machine.events import VerbName
from workflows.machine.verbs import VERBS


def test_the_table_of_the_documentation_is_what_the_machine_answers() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert SECTION.filled(page) == page, "run python -m tests.tools.verb_table --write"


@pytest.mark.parametrize("name", sorted(VERBS))
@pytest.mark.parametrize(("title", "node", "make"), STATES, ids=[state[0] for state in STATES])
def test_a_verb_takes_effect_or_is_refused_with_a_reason_and_never_both(
    title: str, node: str, make: Callable[[], Run], name: VerbName
) -> None:
    run = make()
    verb = asked(name, node)
    refused = run.machine.refusal(verb, run.now)
    before = run.state.nodes.copy()

    commands = run.send(verb)

    assert bool(run.refusal) == (refused is not None), title
    if refused is not None:
        assert (commands, run.state.nodes) == ([], before)
        assert refused.text == run.refusal
