"""What a person sees of a flow and a run: pictures, pages and words, from Plan and RunState.

Pure and deterministic: no clock, no I/O, no set is iterated; `now` is a parameter, in seconds since
the epoch.
"""

from workflows.machine.view.explain import Explanation, Holder, explain
from workflows.machine.view.layout import Layout, layout
from workflows.machine.view.page import page
from workflows.machine.view.status import (
    NodeView,
    Status,
    WarningView,
    status,
    stdops_state,
)
from workflows.machine.view.svg import svg
from workflows.machine.view.text import text
from workflows.machine.view.variables import Variables, VariableView, variables

__all__ = [
    "Explanation",
    "Holder",
    "Layout",
    "NodeView",
    "Status",
    "VariableView",
    "Variables",
    "WarningView",
    "explain",
    "layout",
    "page",
    "status",
    "stdops_state",
    "svg",
    "text",
    "variables",
]
