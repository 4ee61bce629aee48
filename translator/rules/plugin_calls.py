"""The tasks of a tree whose plugin is known, with its facts."""

from collections.abc import Iterator

from translator.rules.context import Context, PluginFacts
from translator.template import SourceTask


def plugin_calls(context: Context) -> Iterator[tuple[SourceTask, PluginFacts]]:
    """Yield each task with the facts of its plugin; nothing without a catalog."""
    if context.catalog is None:
        return
    for task in context.tree.tasks.values():
        written = {name: each.value for name, each in task.inputs.items() if each.kind == "plain"}
        facts = context.catalog.called(task.code, task.version, written)
        if facts is not None:
            yield task, facts
