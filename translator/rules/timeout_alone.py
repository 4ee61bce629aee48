"""SOP301."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP301", "timeout together with another failure policy")
def timeout_alone(context: Context) -> Iterator[Diagnostic]:
    """A node with a timeout neither ignores errors nor retries by itself.

    Why: bk-sops refuses to start a run of such a template, as the policies contradict each other.
    Fails: a task with `timeout_config` and `auto_retry` both enabled
    Fix: Keep one of them: the timeout, the ignored error, or the automatic retry.
    """
    for task in context.tree.tasks.values():
        if task.timeout and (task.error_ignorable or task.auto_retry):
            other = "ignored errors" if task.error_ignorable else "automatic retry"
            what = f"node {task.name or task.id!r} has a timeout together with {other}"
            fix = "keep one of the two"
            yield context.report("SOP301", "error", task.at, what, fix)
