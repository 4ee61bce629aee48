"""The tasks of a tree whose plugin is known, with its facts."""

from collections.abc import Iterator

from translator.rules.context import Context, PluginFacts
from translator.template import SourceTask


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
