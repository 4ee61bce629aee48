"""The tasks of a tree whose plugin is known, with its facts and the values that it is given."""

from collections.abc import Iterator

from pydantic import JsonValue

from translator.rules.context import Context, PluginFacts, PluginInput
from translator.template import SourceTask, SourceValue


def plugin_tasks(context: Context) -> Iterator[SourceTask]:
    """Yield each task that calls a plugin; one that starts a run of its own needs none."""
    return (task for task in context.tree.tasks.values() if task.child is None)


def plugin_calls(context: Context) -> Iterator[tuple[SourceTask, PluginFacts]]:
    """Yield each task with the facts of its plugin; nothing without a catalog."""
    if context.catalog is None:
        return
    for task in plugin_tasks(context):
        written = {name: each.value for name, each in task.inputs.items() if each.kind == "plain"}
        facts = context.catalog.called(task.code, task.version, written)
        if facts is not None:
            yield task, facts


def written_out(task: SourceTask, facts: PluginFacts) -> Iterator[tuple[PluginInput, SourceValue]]:
    """Yield the plugin's inputs whose values stand in the template; they refer to nothing."""
    for each in facts.inputs:
        value = task.inputs.get(each.name)
        if value is not None and value.kind == "plain":
            yield each, value


def shown(value: JsonValue) -> str:
    """Say what JSON type `value` has, with the value itself where it is short."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."  # noqa: PLR2004  one line of a terminal
