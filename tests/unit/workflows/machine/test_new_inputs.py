from typing import Any

import pytest
from pydantic import JsonValue

from activities.contract import PluginTraits, RunSettings
from tests.helpers.plans import flow, plan, subflow, task, variable
from tests.helpers.runs import Run
from translator.plan import PluginRef

ECHO = PluginTraits(
    plugin=PluginRef(code="echo"),
    inputs={"script": "string", "times": "integer", "hosts": "array", "token": "integer"},
    open_inputs=False,
    secrets=("token",),
)


def lost(*path: str, **traits: Any) -> Run:
    """A run whose node `a`, at some depth, has failed; its plugin declares its inputs."""
    inner = flow("a", nodes=[task("a", {"script": "ls", "odd": 1})], variables=[variable("v", 1)])
    for name in reversed(path):
        inner = flow(name, nodes=[subflow(name, inner)], variables=[variable("v", 1)])
    made = plan("x").model_copy(update={"flow": inner})
    known = ECHO.model_copy(update=traits)
    run = Run(made, RunSettings(traits={"echo/legacy": known}, timezone="UTC"))
    run.lose("/".join([*path, "a"]))
    return run


@pytest.mark.parametrize("path", [(), ("sub1",), ("sub1", "sub2", "sub3")])
def test_an_unknown_input_is_refused_with_a_hint_at_any_depth(path: tuple[str, ...]) -> None:
    run, node = lost(*path), "/".join([*path, "a"])

    assert run.do("retry", node, set_inputs={"scrpt": "ls"}) == "wrong_value"

    assert run.refusal == (
        f"plugin 'echo' of node {node!r} has no input 'scrpt'; did you mean 'script'?"
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"times": "soon"}, "input 'times' of node 'a' is given 'soon', but needs a whole number"),
        ({"hosts": 5}, "but needs a list; give it that"),
        ({"script": ["ls"]}, "but needs text; give it that"),
        ({"token": "hunter2"}, "input 'token' of node 'a' is given ******, but needs"),
    ],
)
def test_a_value_of_another_type_is_refused(given: dict[str, JsonValue], told: str) -> None:
    run = lost()

    assert run.do("retry", "a", set_inputs=given) == "wrong_value"

    assert told in run.refusal
    assert "hunter2" not in run.refusal


@pytest.mark.parametrize(
    "given",
    [
        {"times": 3},
        {"times": "3"},
        {"times": ""},
        {"times": "${v}"},
        {"hosts": "${v + 1}"},
        {"token": {"$sealed": "k.x"}},
        {"odd": 2},
        {"_escape_render_keys": ["script"]},
    ],
)
@pytest.mark.parametrize("way", ["inputs", "set_inputs"])
def test_what_the_plugin_could_take_is_accepted(given: dict[str, JsonValue], way: str) -> None:
    assert lost().do("retry", "a", **{way: given}) == ""


def test_a_plugin_that_takes_any_input_has_only_its_own_checked() -> None:
    run = lost(open_inputs=True)

    assert run.do("retry", "a", set_inputs={"times": [1]}) == "wrong_value"
    assert run.do("retry", "a", set_inputs={"more": [1]}) == ""
