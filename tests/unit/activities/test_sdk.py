from types import FunctionType
from typing import Any

import pytest
from pydantic import JsonValue, ValidationError

import stdops
from activities.sdk import (
    Call,
    Inputs,
    Lookup,
    Outputs,
    PluginDefinitionError,
    Secret,
    lazy_variable,
    plugin,
)


class PingInputs(Inputs):
    host: str
    times: int = 3
    token: Secret | None = None


class OtherInputs(Inputs):
    pass


class PingOutputs(Outputs):
    ok: bool


def test_a_decorated_function_is_a_plugin_with_its_models_and_traits() -> None:
    @plugin("ping", version="v2", name="Ping", group="Net", idempotent=True, timeout_s=9)
    async def ping(call: Call[PingInputs]) -> PingOutputs:
        """Ping a host."""
        return PingOutputs(ok=True)

    assert (ping.ref.code, ping.ref.version) == ("ping", "v2")
    assert (ping.name, ping.group, ping.description) == ("Ping", "Net", "Ping a host.")
    assert (ping.inputs_model, ping.outputs_model) == (PingInputs, PingOutputs)
    assert (ping.traits.idempotent, ping.traits.call_timeout_s) == (True, 9)
    assert ping.traits.secrets == ("token",)


def test_the_kernel_offers_the_same_names() -> None:
    assert stdops.plugin is plugin
    assert stdops.Call is Call


async def no_call(call: int) -> None: ...


async def no_inputs(call: Call[Any]) -> None: ...


async def two_arguments(call: Call[PingInputs], more: int) -> None: ...


async def returns_text(call: Call[PingInputs]) -> str:
    return ""


async def returns_nothing_said(call: Call[PingInputs]): ...  # noqa: ANN201  the case


async def unreadable(call: "Call[Missing]") -> None: ...  # pyright: ignore  # noqa: F821, PGH003


def not_async(call: Call[PingInputs]) -> None: ...


WRONG: list[tuple[Any, str]] = [
    (no_call, "not annotated with Call"),
    (no_inputs, "not annotated with Call"),
    (two_arguments, "call with 2 arguments"),
    (returns_text, "not annotated to return Outputs"),
    (returns_nothing_said, "not annotated to return Outputs"),
    (unreadable, "cannot be read"),
    (not_async, "not async"),
]


@pytest.mark.parametrize(
    ("function", "what"), WRONG, ids=[function.__name__ for function, _ in WRONG]
)
def test_a_wrong_signature_is_named_with_plugin_function_and_line(
    function: FunctionType, what: str
) -> None:
    with pytest.raises(PluginDefinitionError) as caught:
        plugin("ping", version="v2")(function)

    line = function.__code__.co_firstlineno
    assert what in caught.value.what
    assert "plugin 'ping' (v2)" in caught.value.what
    assert caught.value.where == f"function {function.__qualname__!r} at {__file__}:{line}"
    assert caught.value.fix


@pytest.mark.parametrize(
    ("traits", "what"),
    [
        ({"code": "no name"}, "not a name"),
        ({"code": "stdops.load_plan"}, "not a name"),
        ({"code": "x", "timeout_s": 0}, "no time"),
        ({"code": "x", "inline": "timer"}, "inline timer"),
        ({"code": "x", "inline_input": "at"}, "inline timer"),
    ],
)
def test_traits_that_no_plugin_may_have_are_refused(traits: dict[str, Any], what: str) -> None:
    async def ping(call: Call[PingInputs]) -> None: ...

    with pytest.raises(PluginDefinitionError, match=what):
        plugin(**traits)(ping)


def test_a_hook_with_other_inputs_is_refused() -> None:
    @plugin("ping")
    async def ping(call: Call[PingInputs]) -> None: ...

    async def look(call: Call[OtherInputs], handle: JsonValue) -> None: ...

    with pytest.raises(PluginDefinitionError, match=r"other inputs in its poll hook"):
        ping.poll(look)  # pyright: ignore[reportArgumentType]


def test_a_second_hook_of_one_kind_is_refused() -> None:
    @plugin("ping")
    async def ping(call: Call[PingInputs]) -> None: ...

    async def halt(call: Call[PingInputs], handle: JsonValue) -> None: ...

    ping.stop(halt)

    with pytest.raises(PluginDefinitionError, match="two stop hooks"):
        ping.stop(halt)


def test_a_lazy_variable_takes_one_argument_and_is_async() -> None:
    def not_a_coroutine(lookup: Lookup) -> None:
        return None

    async def too_many(lookup: Lookup, more: int) -> None:
        return None

    with pytest.raises(PluginDefinitionError, match="not an async function"):
        lazy_variable("x")(not_a_coroutine)  # pyright: ignore[reportArgumentType]
    with pytest.raises(PluginDefinitionError, match="does not take one argument"):
        lazy_variable("x")(too_many)  # pyright: ignore[reportArgumentType]


class FormInputs(Inputs):
    count: int = 5
    note: str = "none"
    flag: bool = False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"count": "7"}, {"count": 7}),
        ({"count": ""}, {"count": 5}),
        ({"count": None}, {"count": 5}),
        ({"note": 12}, {"note": "12"}),
        ({"note": ""}, {"note": ""}),
        ({"note": None}, {"note": "none"}),
        ({"flag": "true"}, {"flag": True}),
    ],
)
def test_inputs_are_read_as_leniently_as_forms_are(
    given: dict[str, JsonValue], expected: dict[str, JsonValue]
) -> None:
    read = FormInputs.model_validate(given).model_dump()

    assert read == {"count": 5, "note": "none", "flag": False} | expected


def test_an_unknown_input_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        FormInputs.model_validate({"nope": 1})


def test_a_secret_reads_a_password_object_and_never_shows() -> None:
    read = PingInputs.model_validate({"host": "h", "token": {"type": "x", "value": "s3cret"}})

    assert read.token is not None
    assert read.token.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(read)
