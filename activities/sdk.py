"""What a plugin author uses: `from stdops import plugin, Call, Inputs, Outputs, ...`.

A plugin is a coroutine function with a decorator. It returns at once, or starts work outside and
raises `StillRunning` (it will be asked again) or `WaitForCallback` (it will be told). Its signature
is checked when it is loaded: a mistake names the plugin, the function and the line.

A `call` that is not idempotent is sent once. `poll`, `callback` and `stop` may be repeated: they
must be safe to repeat.
"""

import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar, final

from pydantic import BaseModel, JsonValue, SecretStr

from activities.calls import (
    Call,
    Inputs,
    Lookup,
    OutcomeUnknown,
    Outputs,
    PluginDefinitionError,
    PluginError,
    Secret,
    StillRunning,
    WaitForCallback,
)
from activities.contract import PluginTraits
from stdops import Location
from translator.plan import PluginRef

__all__ = [
    "AnyPlugin",
    "Call",
    "Inline",
    "Inputs",
    "LazyVariable",
    "Lookup",
    "OutcomeUnknown",
    "Outputs",
    "Plugin",
    "PluginDefinitionError",
    "PluginError",
    "Secret",
    "StillRunning",
    "WaitForCallback",
    "lazy_variable",
    "plugin",
]

Inline: TypeAlias = Literal["", "display", "pause", "timer"]

_CODE: Final = re.compile(r"[A-Za-z_][\w.-]*")
_HOOK_ARGUMENTS: Final = {
    "call": "(call: Call[YourInputs])",
    "poll": "(call: Call[YourInputs], handle: JsonValue)",
    "callback": "(call: Call[YourInputs], data: JsonValue)",
    "stop": "(call: Call[YourInputs], handle: JsonValue)",
}


InputsT = TypeVar("InputsT", bound=Inputs)
ResultT = TypeVar("ResultT", bound=Outputs | None)


class _About(NamedTuple):
    """What people read of a plugin, and the models that stand for those of its signature."""

    name: str
    group: str
    settings: Mapping[str, type[BaseModel]]
    inputs: type[Any] | None
    outputs: type[Outputs] | None


@final
class Plugin(Generic[InputsT, ResultT]):
    """A plugin: its call, its other steps, and what a run must know of it."""

    def __init__(
        self,
        call: Callable[[Call[InputsT]], Awaitable[ResultT]],
        traits: PluginTraits,
        about: "_About",
    ) -> None:
        self.ref: Final = traits.plugin
        self.name: Final = about.name or traits.plugin.code
        self.group: Final = about.group
        self.settings: Final = about.settings
        self.description: Final = inspect.cleandoc(call.__doc__ or "")
        self.call_fn: Final = call
        declared = _inputs_of(traits.plugin, "call", call)
        written = _outputs_of(traits.plugin, "call", call)
        self._declared: Final[type[InputsT]] = declared
        self.inputs_model: Final[type[InputsT]] = _narrower(
            traits.plugin, call, declared, about.inputs
        )
        self.outputs_model: Final[type[Outputs] | None] = about.outputs or written
        self.traits: Final = traits.model_copy(update={"secrets": _secrets_of(self.inputs_model)})
        self.poll_fn: Callable[[Call[InputsT], JsonValue], Awaitable[ResultT | None]] | None = None
        self.callback_fn: Callable[[Call[InputsT], JsonValue], Awaitable[ResultT | None]] | None
        self.callback_fn = None
        self.stop_fn: Callable[[Call[InputsT], JsonValue], Awaitable[None]] | None = None
        self.repeatable_fn: Callable[[InputsT], bool] | None = None

    def poll(
        self, hook: Callable[[Call[InputsT], JsonValue], Awaitable[ResultT | None]]
    ) -> Callable[[Call[InputsT], JsonValue], Awaitable[ResultT | None]]:
        """Look at work under way, by its handle; raise `StillRunning` again to go on."""
        self._check("poll", hook, self.poll_fn)
        self.poll_fn = hook
        return hook

    def callback(
        self, hook: Callable[[Call[InputsT], JsonValue], Awaitable[ResultT | None]]
    ) -> Callable[[Call[InputsT], JsonValue], Awaitable[ResultT | None]]:
        """Take what the outside calls back with; raise `WaitForCallback` again to go on."""
        self._check("callback", hook, self.callback_fn)
        self.callback_fn = hook
        return hook

    def stop(
        self, hook: Callable[[Call[InputsT], JsonValue], Awaitable[None]]
    ) -> Callable[[Call[InputsT], JsonValue], Awaitable[None]]:
        """Ask the outside to stop the work behind a handle.

        With it, a call that is cancelled goes on for some seconds, so that its handle is known.
        """
        self._check("stop", hook, self.stop_fn)
        self.stop_fn = hook
        return hook

    def repeatable(self, hook: Callable[[InputsT], bool]) -> Callable[[InputsT], bool]:
        """Say for which inputs a call may be sent again, where it depends on them."""
        if inspect.iscoroutinefunction(hook):  # what it gives would always count as true
            raise _mistake(self.ref, hook, "has an async repeatable hook", "write 'def'")
        self.repeatable_fn = hook
        return hook

    def may_repeat(self, inputs: InputsT) -> bool:
        """Return whether a call with `inputs` may be sent again when its outcome is unknown."""
        if self.traits.idempotent or self.traits.quick:
            return True
        return self.repeatable_fn is not None and self.repeatable_fn(inputs)

    def __repr__(self) -> str:
        return f"Plugin({self.ref.code!r}, version={self.ref.version!r})"

    def _check(self, step: str, hook: Callable[..., object], have: object) -> None:
        if have is not None:
            raise _mistake(self.ref, hook, f"has two {step} hooks", "keep one of them")
        if _inputs_of(self.ref, step, hook) is not self._declared:
            raise _mistake(
                self.ref,
                hook,
                f"takes other inputs in its {step} hook than in its call",
                f"write Call[{self._declared.__name__}]",
            )
        _outputs_of(self.ref, step, hook)


AnyPlugin: TypeAlias = Plugin[Any, Any]


@final
class LazyVariable:
    """A variable that is computed when it is read."""

    def __init__(
        self, code: str, look_up: Callable[[Lookup], Awaitable[JsonValue]], name: str = ""
    ) -> None:
        self.code: Final = code
        self.name: Final = name or code
        self.look_up: Final = look_up
        self.description: Final = inspect.cleandoc(look_up.__doc__ or "")

    def __repr__(self) -> str:
        return f"LazyVariable({self.code!r})"


def plugin(  # noqa: PLR0913  one keyword per trait; nobody passes them all
    code: str,
    *,
    version: str = "legacy",
    name: str = "",
    group: str = "",
    quick: bool = False,
    idempotent: bool = False,
    multiple_callbacks: bool = False,
    timeout_s: int = 300,
    heartbeat_s: int = 60,
    inline: Inline = "",
    inline_input: str = "",
    inputs: type[Inputs] | None = None,
    outputs: type[Outputs] | None = None,
    settings: Mapping[str, type[BaseModel]] | None = None,
) -> Callable[[Callable[[Call[InputsT]], Awaitable[ResultT]]], Plugin[InputsT, ResultT]]:
    """Make a coroutine function a plugin.

    Args:
        code: what templates call it by; also the type of its Temporal activity.
        version: compared literally; several may stand side by side.
        name: what people read; the code if empty.
        group: where a list of plugins puts it.
        quick: needs no poll and no callback, ends within a second, is safe to repeat.
        idempotent: `call` may be sent again when its outcome is unknown.
        multiple_callbacks: a callback may leave it waiting for the next.
        timeout_s: limit of one step in seconds.
        heartbeat_s: a step is given up when nothing is heard of it for that many seconds.
        inline: decided by the workflow, without an activity (see `PluginTraits`).
        inline_input: the input with the time of an inline timer.
        inputs: the model of its inputs where one function serves several plugins; a subclass of the
            one in the function's signature.
        outputs: the same for what it declares as outputs; only forms, docs and checks read it.
        settings: what `call.shelf.settings` reads for it, a model by the name of its table.

    Raises:
        PluginDefinitionError: when the function does not have a plugin's signature.
    """
    _check_names(code, version)
    traits = PluginTraits(
        plugin=PluginRef(code=code, version=version),
        inline=inline,
        inline_input=inline_input,
        quick=quick,
        idempotent=idempotent,
        multiple_callbacks=multiple_callbacks,
        call_timeout_s=timeout_s,
        heartbeat_s=heartbeat_s,
    )

    def decorate(call: Callable[[Call[InputsT]], Awaitable[ResultT]]) -> Plugin[InputsT, ResultT]:
        _check_traits(traits, call)
        about = _About(name, group, settings or {}, inputs, outputs)
        return Plugin(call, traits, about)

    return decorate


def lazy_variable(
    code: str, *, name: str = ""
) -> Callable[[Callable[[Lookup], Awaitable[JsonValue]]], LazyVariable]:
    """Make a coroutine function the computation behind variables of the custom type `code`.

    `name` is what people read; the code if empty.

    Raises:
        PluginDefinitionError: when the function is not `async def f(lookup: Lookup)`.
    """

    def decorate(look_up: Callable[[Lookup], Awaitable[JsonValue]]) -> LazyVariable:
        ref = PluginRef(code=code, version="lazy variable")
        if not inspect.iscoroutinefunction(look_up):
            raise _mistake(ref, look_up, "is not an async function", "write 'async def'")
        if len(inspect.signature(look_up).parameters) != 1:
            raise _mistake(ref, look_up, "does not take one argument", "write (lookup: Lookup)")
        return LazyVariable(code, look_up, name)

    return decorate


def source_of(function: object) -> Location:
    """Return where a function is written; a decorator above it is where it begins."""
    found = inspect.unwrap(function) if callable(function) else None
    if not inspect.isfunction(found):
        return Location()
    return Location(found.__code__.co_filename, line=found.__code__.co_firstlineno)


def _check_names(code: object, version: object) -> None:
    """Report a decorator without its code, and a version that is a number."""
    if not isinstance(code, str):
        raise PluginDefinitionError(
            "SOP411",
            f"@plugin has no code, but {code!r}",
            fix='write @plugin("code", version="v1.0")',
            location=source_of(code),
        )
    if not isinstance(version, str):
        raise PluginDefinitionError(
            "SOP411",
            f"plugin {code!r} has the version {version!r}, which is no text",
            fix=f'write version="{version}"',
        )


def _check_traits(traits: PluginTraits, call: Callable[..., object]) -> None:
    """Report what no plugin may claim."""
    code = traits.plugin.code
    if not _CODE.fullmatch(code) or code.startswith("stdops."):
        raise _mistake(
            traits.plugin,
            call,
            f"has the code {code!r}, which is not a name",
            "use letters, digits, '_', '-' and '.', and no 'stdops.' in front",
        )
    if min(traits.call_timeout_s, traits.heartbeat_s) <= 0:
        raise _mistake(traits.plugin, call, "has a limit of no time", "give more than 0 seconds")
    if (traits.inline == "timer") != bool(traits.inline_input):
        raise _mistake(
            traits.plugin,
            call,
            "has an inline timer without its input, or the input without the timer",
            "give inline='timer' and inline_input together",
        )


def _inputs_of(ref: PluginRef, step: str, hook: Callable[..., object]) -> type[Any]:
    """Return the model in `Call[...]` of the hook's first argument.

    `type[Any]`, because only the hook's own annotation knows which model it is.
    """
    if not inspect.iscoroutinefunction(hook):
        raise _mistake(ref, hook, f"has a {step} that is not async", "write 'async def'")
    names = list(inspect.signature(hook).parameters)
    if len(names) != 1 + (step != "call"):
        raise _mistake(
            ref,
            hook,
            f"has a {step} with {len(names)} arguments",
            f"write {_HOOK_ARGUMENTS[step]}",
        )
    annotation = _hints(ref, hook).get(names[0])
    model = next(iter(typing.get_args(annotation)), None)
    if (
        typing.get_origin(annotation) is Call
        and isinstance(model, type)
        and _is_model(model, Inputs)
    ):
        return model
    raise _mistake(
        ref,
        hook,
        f"has a {step} whose argument {names[0]!r} is not annotated with Call[...] of Inputs",
        f"write {_HOOK_ARGUMENTS[step]}, where YourInputs derives from stdops.Inputs",
    )


def _outputs_of(ref: PluginRef, step: str, hook: Callable[..., object]) -> type[Outputs] | None:
    """Return the model that the hook is annotated to return, None where it returns none."""
    hints = _hints(ref, hook)
    returned = hints.get("return", inspect.Parameter.empty)
    kinds = typing.get_args(returned) or (returned,)
    models = [kind for kind in kinds if kind not in {type(None), typing.NoReturn, typing.Never}]
    if any(not _is_model(kind, Outputs) for kind in models) or len(models) > 1:
        raise _mistake(
            ref,
            hook,
            f"has a {step} that is not annotated to return Outputs or None",
            "write '-> YourOutputs', where YourOutputs derives from stdops.Outputs, or '-> None'",
        )
    return typing.cast("type[Outputs]", models[0]) if models else None


def _narrower(
    ref: PluginRef, call: Callable[..., object], declared: type[Any], given: type[Any] | None
) -> type[Any]:
    """Return the model that is given in place of the declared one, which it must derive from."""
    if given is None or issubclass(given, declared):
        return given or declared
    what = f"is given inputs that do not derive from {declared.__name__}"
    raise _mistake(ref, call, what, f"write class {given.__name__}({declared.__name__})")


def _is_model(kind: object, base: type[BaseModel]) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


def _hints(ref: PluginRef, hook: Callable[..., object]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(hook)
    except NameError as error:
        raise _mistake(
            ref,
            hook,
            f"has an annotation that cannot be read ({error})",
            "import the name when the module runs, not for type checkers only",
        ) from error


def _mistake(
    ref: PluginRef, hook: Callable[..., object], what: str, fix: str
) -> PluginDefinitionError:
    location = source_of(hook)
    place = f" at {location.file}:{location.line}" if location.file else ""
    return PluginDefinitionError(
        "SOP411",
        f"plugin {ref.code!r} ({ref.version}) {what}",
        where=f"function {getattr(hook, '__qualname__', repr(hook))!r}{place}",
        fix=fix,
        location=location,
    )


def _secrets_of(model: type[Inputs]) -> tuple[str, ...]:
    """Return the names under which the secret inputs arrive."""
    fields = model.model_fields.items()
    return tuple(f.alias or name for name, f in fields if holds_secret(f.annotation))


def holds_secret(annotation: object, within: frozenset[object] = frozenset()) -> bool:
    """Say whether a secret stands anywhere in a type; `within` are the models around it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation in within:
            return False
        deeper = within | {annotation}
        fields = annotation.model_fields.values()
        return any(holds_secret(field.annotation, deeper) for field in fields)
    parts = typing.get_args(annotation)
    return annotation is SecretStr or any(holds_secret(part, within) for part in parts)
