import pytest

from tests.helpers.build import Harness, tree, variable, variables
from translator.rules import variable_keys

harness = Harness(variable_keys)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


@pytest.mark.parametrize("key", ["a", "a1_B", "_system", "_env", "1a", "__x", "_result"])
def test_an_allowed_key_is_fine(key: str) -> None:
    assert_valid(tree("start a end", variables=variables(variable(key))))


@pytest.mark.parametrize("key", ["", "_env_x", "_system.x", "a b", "a.b", "中文", "a}"])
def test_any_other_key_is_an_error_in_a_web_template(key: str) -> None:
    assert_diagnostics(
        tree("start a end", variables=variables(variable(key))),
        [("error", f"/constants/{key}", f"variable key {key!r} is not allowed")],
    )


def test_the_engine_takes_any_key() -> None:
    assert_diagnostics(
        tree("start a end", variables=variables(variable("a.b"))),
        [("warning", "/constants/a.b", "variable key 'a.b' is not allowed")],
        file_format="engine",
    )
