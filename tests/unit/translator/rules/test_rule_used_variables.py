from tests.helpers.build import Harness, subflow, task, tree, variable, variables
from translator.rules import used_variables

harness = Harness(used_variables)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_a_variable_among_the_outputs_is_used() -> None:
    assert_valid(tree("start a end", variables=variables(variable("ip")), outputs=["ip"]))


def test_a_variable_that_nothing_reads_is_a_note() -> None:
    assert_diagnostics(
        tree("start a end", variables=variables(variable("ip"))),
        [("note", "/constants/ip", "variable 'ip' is never used")],
    )


def test_a_nested_flow_that_shares_the_context_uses_it() -> None:
    inner = tree("start a end", nodes=[task("a", inputs={"x": "${ip}"})])
    holder = subflow("sub1", inner, shares_context=True)

    assert_valid(tree("start sub1 end", nodes=[holder], variables=variables(variable("ip"))))
