from tests.helpers import build
from tests.helpers.build import Harness, subflow, task, tree
from translator.compile import compile_template
from translator.plan import Plan
from translator.rules import subflows_nest_in_bounds
from translator.rules.subflows_nest_in_bounds import MOST_LEVELS
from translator.template import Tree
from workflows.machine.program import lay_out

harness = Harness(subflows_nest_in_bounds)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def nested(levels: int) -> Tree:
    """Build subflows in subflows."""
    made = tree("start a end", nodes=[task("a")])
    for _ in range(levels):
        made = tree("start s end", nodes=[subflow("s", made)])
    return made


def test_subflows_nest_as_deep_as_a_plan_can_be_stored() -> None:
    made = compile_template(build.template(nested(MOST_LEVELS)))

    read = Plan.model_validate_json(made.model_dump_json())

    assert_valid(nested(MOST_LEVELS))
    assert read == made
    assert len(lay_out(read).flows) == MOST_LEVELS + 1


def test_deeper_subflows_are_reported_once() -> None:
    assert_diagnostics(
        nested(MOST_LEVELS + 10),
        [("error", "/activities/s", "subflow 's' is more than 60 levels deep")],
    )
