from tests.helpers.build import Harness, Plugins, tree, variable, variables
from translator.rules import known_lazy_types
from translator.template import Tree

harness = Harness(known_lazy_types)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


CATALOG = Plugins(lazy=["ip_selector", "select"])


def test_a_known_type_is_fine() -> None:
    assert_valid(flow("select"), CATALOG)


def test_nothing_is_said_without_a_catalog() -> None:
    assert_valid(flow("no_such_type"))


def test_an_unknown_type_is_a_warning() -> None:
    assert_diagnostics(
        flow("ip_select"),
        [
            (
                "warning",
                "/constants/hosts/value",
                "variable 'hosts' has the unknown type 'ip_select'",
            )
        ],
        CATALOG,
    )


def flow(code: str) -> Tree:
    return tree("start a end", variables=variables(variable("hosts", "x", code=code)))
