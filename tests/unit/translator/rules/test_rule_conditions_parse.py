from tests.helpers.build import Harness, tree
from translator.rules import conditions_parse
from translator.template import Tree

harness = Harness(conditions_parse)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_a_comparison_is_fine() -> None:
    assert_valid(flow("${n} >= 3 and 'a' in ('a', 'b')"))


def test_a_single_equals_sign_is_a_warning() -> None:
    found = harness.found(flow("1 = 3"))

    assert [(severity, pointer) for severity, pointer, _ in found] == [
        ("warning", "/gateways/xor1/conditions/xor1-a")
    ]
    assert found[0][2].startswith("condition '1 = 3' of gateway 'xor1' does not parse: ")


def flow(text: str) -> Tree:
    return tree("start xor1 a end", "xor1 b end", conditions={"xor1-a": text})
