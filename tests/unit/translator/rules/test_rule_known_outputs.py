from tests.helpers.build import Harness, tree, variable, variables
from translator.rules import known_outputs

harness = Harness(known_outputs)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_a_defined_output_is_fine() -> None:
    assert_valid(tree("start a end", variables=variables(variable("log")), outputs=["log"]))


def test_an_output_without_a_variable_is_a_warning() -> None:
    assert_diagnostics(
        tree("start a end", variables=variables(variable("log")), outputs=["logs"]),
        [("warning", "/outputs", "output 'logs' is no variable of this flow")],
    )
