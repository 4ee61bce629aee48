from tests.helpers.build import Harness, tree
from translator.rules import default_has_no_condition
from translator.template import SourceCondition

harness = Harness(default_has_no_condition)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_a_gateway_without_default_is_fine() -> None:
    assert_valid(tree("start xor1 a end", "xor1 b end"))


def test_a_default_among_the_conditions_is_a_warning() -> None:
    whole = tree("start xor1 a end", "xor1 b end")
    default = SourceCondition("xor1-b", "", "/gateways/xor1/default_condition")
    gateway = whole.gateways["xor1"]._replace(default=default)

    assert_diagnostics(
        whole._replace(gateways={"xor1": gateway}),
        [
            (
                "warning",
                "/gateways/xor1/conditions/xor1-b",
                "default way out 'xor1-b' of gateway 'xor1' has a condition too",
            )
        ],
    )
