"""What is heard of the runs that a run has started: begun, in another state, over."""

from typing import Final, assert_never

from activities.contract import NOTE_CHARS, Done, Failed
from translator.plan import NodePath, Task
from workflows.machine import tasks
from workflows.machine.children import known_outputs
from workflows.machine.core import Core
from workflows.machine.events import ChildChanged, ChildEnded, ChildStarted, Report
from workflows.machine.state import ChildRun, Live

ENDED_BADLY: Final = "the child ended without finishing; look at it, then retry or skip this node"


def take(core: Core, report: Report) -> None:
    """Go on from what is heard of a child; one of an earlier execution changes nothing."""
    path, live = report.path, core.state.live.get(report.path)
    if live is None or live.child is None or core.state.nodes[path].entry != report.entry:
        return
    task = core.place(path).node
    if not isinstance(task, Task):
        return
    match report:
        case ChildStarted():
            started(core, live, live.child, report)
        case ChildChanged():
            changed(core, live, live.child, task, report)
        case ChildEnded():
            ended(core, live, task, report)
        case _:
            assert_never(report)


def started(core: Core, live: Live, child: ChildRun, report: ChildStarted) -> None:
    """Show which run it is."""
    child.id = report.id
    show(core, report.path, child)
    told = {"task_id": report.id, "task_url": report.url}
    tasks.show_progress(core, report.path, live, told)


def show(core: Core, path: NodePath, child: ChildRun) -> None:
    """Note for people which run it is and how it stands."""
    core.state.nodes[path].note = f"{child.state.lower()} as {child.id}"[:NOTE_CHARS]


def changed(core: Core, live: Live, child: ChildRun, task: Task, report: ChildChanged) -> None:
    """Fail the node when a node of its child has failed, let it go on when the child does.

    Source: bk-sops subprocess_plugin; differs: the node says which node failed and why.
    """
    path = report.path
    if child.state != report.state:
        child.state, child.since = report.state, core.now
    show(core, path, child)
    is_failed = core.state.nodes[path].status == "failed"
    if report.state != "Failed":
        if is_failed:
            go_on(core, path, live, task)
            tasks.limit(core, path, task)
        return
    error = f"{report.error}; the child {child.id} waits there for a person".replace("  ", " ")
    if is_failed:
        fail_anew(core, path, live, error)
    else:
        tasks.end_failed(core, path, task, Failed(error=error))


def ended(core: Core, live: Live, task: Task, report: ChildEnded) -> None:
    """End the node as its child has ended, also where the node had failed meanwhile."""
    path = report.path
    core.forget_child(live)
    is_failed = core.state.nodes[path].status == "failed"
    if report.error:
        error = report.error or ENDED_BADLY
        if is_failed:
            fail_anew(core, path, live, error)
        else:
            tasks.end_failed(core, path, task, Failed(error=error))
        return
    if is_failed:
        go_on(core, path, live, task)
    tasks.end_well(core, path, task, Done(outputs=known_outputs(task, dict(report.outputs))))


def fail_anew(core: Core, path: NodePath, live: Live, error: str) -> None:
    """Give a node that has failed a newer reason."""
    live.error = error
    if path in core.state.failed:
        core.state.failed[path] = error


def go_on(core: Core, path: NodePath, live: Live, task: Task) -> None:
    """Let a failed node run again: what made it fail was mended inside its child."""
    core.cancel(path)  # an automatic retry would start another child beside it
    core.state.failed.pop(path, None)
    live.error, live.deadline = "", 0
    core.set_phase(path, "child")
    tasks.take_back_pass(core, path, task)
    core.change(path, "running")
