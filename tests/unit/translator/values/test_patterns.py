import time

import pytest

from translator.values.patterns import MAX_LENGTH, most_steps, verdict

ADDRESS = r"^((25[0-5]|2[0-4]\d|[01]?\d?\d)\.){3}(25[0-5]|2[0-4]\d|[01]?\d?\d)$"


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("", "anything", "fits"),
        ("^.+$", "x", "fits"),
        ("^.+$", "", "differs"),
        (r"^\d{1,3}(\.\d{1,3}){3}$", "10.0.0.1", "fits"),
        (ADDRESS, "10.0.0.1", "fits"),
        (ADDRESS, "10.0.0.256", "differs"),
        (r"^[a-z]+(-[a-z0-9]+)*$", "web-1", "fits"),
        (r"^[a-z]+(-[a-z0-9]+)*$", "Web", "differs"),
        ("b", "abc", "fits"),
        (r"^\d+$", "١٢", "differs"),
    ],
)
def test_a_text_is_compared_as_a_browser_does(pattern: str, text: str, wanted: str) -> None:
    assert verdict(pattern, text) == wanted


@pytest.mark.parametrize("pattern", ["(", "[", "*a", r"(?<name", "a{2,1}", "(?P<1>a)", "\\"])
def test_what_is_no_pattern_refuses_nothing(pattern: str) -> None:
    assert verdict(pattern, "a") == "unchecked"


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(a+)+$",
        r"^(a|a)*$",
        r"^(a|aa)+$",
        r"(a*)*b",
        r"^((a{1,3}){1,3}){20}$",
        r".*.*.*.*.*.*b",
        "a?" * 60 + "a" * 60,
        r"^(?:a?){50}a{50}$",
        r"^(?P<x>[a]+[a]*)+$",
        r"^(([a-z])+.)+[A-Z]([a-z])+$",
    ],
)
def test_a_pattern_that_would_take_minutes_is_not_tried(pattern: str) -> None:
    begun = time.monotonic()

    assert verdict(pattern, "a" * 60 + "!") == "unchecked"
    assert time.monotonic() - begun < 1


def test_a_text_that_is_too_long_is_not_compared() -> None:
    assert verdict("^.+$", "x" * MAX_LENGTH) == "fits"
    assert verdict("^.+$", "x" * (MAX_LENGTH + 1)) == "unchecked"


def test_the_estimate_counts_a_repeated_group_once_for_each_repeat() -> None:
    assert most_steps("^(a?){3}$", 1) == most_steps("^a?a?a?$", 1) * 1
    assert most_steps("^a+b+$", 100) == 100**2
    assert most_steps("a+b+$", 100) == 100**3
