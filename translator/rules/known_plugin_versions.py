"""SOP402."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, did_you_mean, rule
from translator.rules.plugin_calls import plugin_tasks


@rule("SOP402", "plugin version is unknown")
def known_plugin_versions(context: Context) -> Iterator[Diagnostic]:
    """The version of the plugin that a task asks for is installed.

    Why: versions of a plugin have different inputs, so no other one is taken in its place.
    Fails: a task with `bk_http_request` in version `v9`
    Fix: Choose one of the installed versions.
    """
    catalog = context.catalog
    if catalog is None:
        return
    for task in plugin_tasks(context):
        versions = catalog.versions(task.code)
        if versions and catalog.plugin(task.code, task.version) is None:
            owner = f"node {task.name or task.id!r}"
            what = f"{owner} asks for version {task.version!r} of plugin {task.code!r}"
            fix = did_you_mean(
                task.version, versions, f"use one of {', '.join(map(repr, versions))}"
            )
            yield context.report("SOP402", "warning", task.at, f"{what}, which is unknown", fix)
