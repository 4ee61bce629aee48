"""SOP203."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.plan import VariableKey
from translator.rules.context import LOOP_OUTPUTS, Context, Read, rule


@rule("SOP203", "output is read before its node can have run")
def outputs_before_use(context: Context) -> Iterator[Diagnostic]:
    """A node reads the output of another one only where that one can have run before it.

    Why: until its node has ended, an output has no value and the reference stays as it is written.
        Between parallel branches it is a matter of luck.
    Fails: the first task reads `${log}`, which the second task writes
    Fix: Move the reader behind the writer, or read another variable.
    """
    said: set[tuple[str, VariableKey]] = set()
    for read in context.reads:
        if read.reader is None or read.reader not in context.reachable:
            continue
        for key in context.behind.get(read.key, ()):
            if (read.at, key) not in said and _too_early(context, read, key):
                said.add((read.at, key))
                yield _report(context, read, key)


def _too_early(context: Context, read: Read, key: VariableKey) -> bool:
    """Say whether no writer of `key` can have run before the reader, and nothing initialises it."""
    if context.tree.variables[key].value is not None:
        return False
    ran = context.ran_before.get(read.reader or "", 0)
    return not any(
        context.writer_bits[node] & ran or (node == read.reader and output in LOOP_OUTPUTS)
        for node, output in context.writers[key]
    )


def _report(context: Context, read: Read, key: VariableKey) -> Diagnostic:
    writer = context.writers[key][0][0]
    via = f" by way of {read.key!r}" if read.key != key else ""
    place = context.graph.label(writer)
    if writer not in context.graph.nodes:
        what = f"{read.what} reads {key!r}{via}, an output of node {writer!r}, which does not exist"
        fix = "choose the output of a node that exists"
    else:
        what = f"{read.what} reads {key!r}{via}, an output of {place} that cannot have run before"
        fix = f"move the reader behind {place}, or read another variable"
    return context.report("SOP203", "warning", read.at, what, fix)
