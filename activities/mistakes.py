"""What is wrong with plugins where they are loaded: each mistake with its place and its cure.

What a decorator sees by itself it refuses at once (`activities.sdk`). What shows only when a plugin
is whole, and what keeps a module from being imported, is told here.
"""

import inspect
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import CodeType
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr

from activities.sdk import (
    AnyPlugin,
    PluginDefinitionError,
    StillRunning,
    WaitForCallback,
    source_of,
)
from stdops import Diagnostic, Location, StdopsError

GROUP: Final = "stdops.plugins"
"""The entry-point group in which distributions offer plugins."""

ENGINE_OUTPUTS: Final = ("_result", "_loop", "_inner_loop", "ex_data")
"""Outputs that every node has by itself."""


def mistakes_of(plugin: AnyPlugin) -> list[Diagnostic]:
    """Return what would fail a run of `plugin`, or show a secret of it."""
    place = source_of(plugin.call_fn)
    name = f"plugin {plugin.ref.code!r} ({plugin.ref.version})"
    found = [*_hook_mistakes(plugin), *_trait_mistakes(plugin), *_model_mistakes(plugin)]
    return [Diagnostic("SOP411", "error", f"{name} {what}", fix, place) for what, fix in found]


def load_problem(name: str, point: EntryPoint, error: BaseException) -> Diagnostic:
    """Return why the module or object `name` behind an entry point cannot be loaded."""
    if isinstance(error, PluginDefinitionError):
        where = error.location if error.location.file else _place(name, point, error)
        return Diagnostic(error.code, "error", error.what, error.fix, where)
    where = _place(name, point, error)
    told = str(error) if isinstance(error, StdopsError) else _told(error)
    what = f"plugins of {name!r} ({owner_of(point)}) cannot be loaded: {told}"
    return Diagnostic("SOP410", "error", what, _cure(point, error, where), where)


def nothing_offered(point: EntryPoint) -> Diagnostic:
    """Return what to say of an entry point behind which there is no plugin."""
    return Diagnostic(
        "SOP413",
        "warning",
        f"there is no plugin in {point.value!r} ({owner_of(point)})",
        "put @plugin(...) above a function in it, or correct the entry point and install again",
        Location(file=entry_of(point)),
    )


def owner_of(point: EntryPoint) -> str:
    """Return the distribution that an entry point is of, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "no distribution"


def entry_of(point: EntryPoint) -> str:
    """Return an entry point as its distribution writes it."""
    return f"{GROUP}: {point.name} = {point.value}"


# --- a plugin that is whole ------------------------------------------------------------------


def _hook_mistakes(plugin: AnyPlugin) -> Iterator[tuple[str, str]]:
    hooks = [hook for hook in (plugin.call_fn, plugin.poll_fn, plugin.callback_fn) if hook]
    code = plugin.call_fn.__name__
    lacks_hook = False
    for signal, have, step in (
        (StillRunning, plugin.poll_fn, "poll"),
        (WaitForCallback, plugin.callback_fn, "callback"),
    ):
        if have is None and any(_names(hook, signal) for hook in hooks):
            lacks_hook = True
            yield f"raises {signal.__name__} but has no {step} hook", f"add one with @{code}.{step}"
    if plugin.stop_fn and not (plugin.poll_fn or plugin.callback_fn or lacks_hook):
        yield (
            "has a stop hook that nothing would call: no work goes on after its call",
            f"add @{code}.poll or @{code}.callback, or remove the stop hook",
        )


def _trait_mistakes(plugin: AnyPlugin) -> Iterator[tuple[str, str]]:
    traits = plugin.traits
    if traits.quick and (plugin.poll_fn or plugin.callback_fn):
        yield "is quick and yet goes on after its call", "remove quick=True, or the hook"
    if traits.multiple_callbacks and plugin.callback_fn is None and not traits.inline:
        yield "takes multiple callbacks but has no callback hook", "add the hook, or remove it"
    for name, model in plugin.settings.items():
        if not _is_model(model):
            yield f"has settings {name!r} that are no pydantic model", "give a class of BaseModel"


def _model_mistakes(plugin: AnyPlugin) -> Iterator[tuple[str, str]]:
    models = [plugin.inputs_model, *([plugin.outputs_model] if plugin.outputs_model else [])]
    for model in models:
        for name, field in model.model_fields.items():
            if _is_bare_secret(field.annotation, field.metadata):
                yield f"has the secret {name!r} of type SecretStr", "write stdops.Secret instead"
    outputs = plugin.outputs_model.model_fields if plugin.outputs_model else {}
    taken = sorted({field.alias or name for name, field in outputs.items()} & {*ENGINE_OUTPUTS})
    if taken:
        yield f"has the output {taken[0]!r}, which every node has by itself", "give it another name"


def _names(hook: Callable[..., Any], signal: type) -> bool:
    """Say whether a function's own code names what it would raise."""
    found = inspect.unwrap(hook)
    if not inspect.isfunction(found):
        return False
    known = found.__globals__
    return any(
        known.get(name, signal if name == signal.__name__ else None) is signal
        for code in _codes(found.__code__)
        for name in code.co_names
    )


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _codes(const)


def _is_bare_secret(annotation: object, marks: object) -> bool:
    """A `Secret` carries marks that read and seal it, whether a field has them or a part of it."""
    if annotation is SecretStr:
        return not marks
    first, *rest = get_args(annotation) or (None,)
    if first is SecretStr and getattr(annotation, "__metadata__", ()):
        return False
    return any(_is_bare_secret(part, ()) for part in (first, *rest) if part is not None)


def _is_model(model: object) -> bool:
    return isinstance(model, type) and issubclass(model, BaseModel)


# --- a module that is not imported -----------------------------------------------------------


def _place(name: str, point: EntryPoint, error: BaseException) -> Location:
    """Return the author's own line: the last one in the package, whatever it has called."""
    if isinstance(error, SyntaxError) and error.filename:
        return Location(error.filename, line=error.lineno)
    top = name.partition(":")[0].partition(".")[0]
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if top in Path(frame.filename).with_suffix("").parts
        and Path(frame.filename).parent != Path(__file__).parent
    ]
    if own:
        return Location(own[-1].filename, line=own[-1].lineno)
    return Location(file=entry_of(point))


def _told(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join([type(error).__name__, "; ".join(lines)]) if lines else type(error).__name__


def _cure(point: EntryPoint, error: BaseException, where: Location) -> str:
    if where.line is None:
        return f"correct the entry point of {owner_of(point)} and install it again"
    if isinstance(error, ModuleNotFoundError):
        return f"install what offers {error.name!r}, or correct the import"
    return "mend that line"
