"""The command line. Commands load what they need when they run, so that help comes at once."""

from workers.cli import callbacks, evaluate, offline, operate, runs, secrets, system, variables
from workers.cli.app import app, run

__all__ = [
    "app",
    "callbacks",
    "evaluate",
    "offline",
    "operate",
    "run",
    "runs",
    "secrets",
    "system",
    "variables",
]
