import pytest
from pydantic import JsonValue

from tests.helpers.build import Harness, tree, value, variable, variables
from translator.rules import defaults_fit
from translator.template import SourceVariable

harness = Harness(defaults_fit)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def asked(raw: JsonValue, custom_type: str = "input", pattern: str = "") -> SourceVariable:
    made = variable("k", raw)
    return made._replace(
        custom_type=custom_type, pattern=pattern, value=value(raw, "/constants/k/value")
    )


@pytest.mark.parametrize(
    "made",
    [
        asked("10.0.0.1", pattern=r"^\d+\.\d+\.\d+\.\d+$"),
        asked("", pattern="^.+$"),
        asked("${other}", pattern=r"^\d+$"),
        asked(5, "int"),
        asked({"datasource": "0", "items_text": "[]"}, "select", "^.+$"),
        asked("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", pattern="^(a+)+$"),
        variable("k", "", code="select")._replace(pattern="^b$", value=value("a", "", "select")),
        variable("k", sources=[("a", "_result")]),
    ],
)
def test_a_default_that_fits_is_fine(made: SourceVariable) -> None:
    assert_valid(tree("start a end", variables=variables(made)))


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (asked("ten", pattern=r"^\d+$"), r"'ten', but needs text that matches '^\\d+$'"),
        (asked("ten", "int"), "'ten', but needs a whole number such as 5"),
        (asked("s3cret", "password", r"^\d+$"), r"******, but needs text that matches '^\\d+$'"),
    ],
)
def test_a_default_that_does_not_fit_is_a_warning(made: SourceVariable, what: str) -> None:
    assert_diagnostics(
        tree("start a end", variables=variables(made)),
        [("warning", "/constants/k/value", f"variable 'k' has the value {what}")],
    )
