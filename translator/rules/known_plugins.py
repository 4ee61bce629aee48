"""SOP401."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, did_you_mean, rule
from translator.rules.plugin_calls import plugin_tasks


@rule("SOP401", "plugin is unknown")
def known_plugins(context: Context) -> Iterator[Diagnostic]:
    """The plugin of every task is installed.

    Why: the template can be imported without it, but a run is refused until the plugin is there.
    Fails: a task with the component code `job_fast_execute_scripts`
    Fix: Correct the code, or install the package that brings the plugin.
    """
    if context.catalog is None:
        return
    for task in plugin_tasks(context):
        if not context.catalog.versions(task.code):
            what = f"node {task.name or task.id!r} calls the unknown plugin {task.code!r}"
            fix = did_you_mean(task.code, context.catalog.codes(), "install the plugin")
            yield context.report("SOP401", "warning", task.at, what, fix)
