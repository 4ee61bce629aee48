"""The command line. Commands load what they need when they run, so that help comes at once."""

from workers.cli import (
    callbacks,
    evaluate,
    explain,
    graph,
    history,
    logs,
    offline,
    operate,
    plugin_call,
    plugin_new,
    plugins,
    runs,
    secrets,
    system,
    variables,
)
from workers.cli.app import app, run

__all__ = [
    "app",
    "callbacks",
    "evaluate",
    "explain",
    "graph",
    "history",
    "logs",
    "offline",
    "operate",
    "plugin_call",
    "plugin_new",
    "plugins",
    "run",
    "runs",
    "secrets",
    "system",
    "variables",
]
