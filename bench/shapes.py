"""What is run: flows of a few forms and sizes, each as the template that bk-sops would store.

A contestant that reads templates takes `document`, one that is written by hand `form` and `size`.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final, Literal, NamedTuple, TypeAlias

from bench.documents import END, START, Web
from translator.compile import compile_template
from translator.parse import parse
from translator.plan import Plan

Form: TypeAlias = Literal["line", "fork", "fan", "nested", "loop", "wait"]
"""line: `size` tasks in a row; also one task alone. fork: two tasks, four branches of two, three
tasks, with gateways and ends 17 nodes. fan: `size` branches of one task. nested: `size` flows, each
within the one before it, of two tasks each. loop: one task and a gateway that leads back, `size`
times. wait: a task that waits for a person."""

Kind: TypeAlias = Literal["activity", "quick", "inline"]
"""activity: each task is a call of its own. quick: neighbours may travel together, because a task
is safe to repeat and ends at once. inline: a task needs no call at all."""

KINDS: Final[Sequence[Kind]] = ("activity", "quick", "inline")
BRANCHES: Final = 4
FORK_NODES: Final = 17
NESTED_TASKS: Final = 2
TEXT: Final = "release 7"
WARM: Final = 10

_CODES: Final[dict[Kind, tuple[str, str]]] = {
    "activity": ("bench_echo", "v1.0"),
    "quick": ("bench_quick", "v1.0"),
    "inline": ("bk_display", "v1.0"),
}


class Shape(NamedTuple):
    """So many runs of a form and size.

    key: the name that stays the same whatever the size. kind: what its tasks need. at_once: whether
    the runs start together, or each after the end of the one before. rounds: how often it is run at
    most, because it takes long.
    """

    key: str
    form: Form
    size: int
    runs: int = 1
    kind: Kind = "activity"
    at_once: bool = True
    rounds: int = 99

    @property
    def nodes(self) -> int:
        """How many nodes a run goes through: the tasks, of a fork all nodes."""
        match self.form:
            case "fork":
                return FORK_NODES
            case "nested":
                return self.size * NESTED_TASKS
            case _:
                return self.size

    @property
    def title(self) -> str:
        """What it is, for people."""
        size = f"{self.size:,}"
        return (
            f"{self.runs:,} x "
            + {
                "line": f"{size} in a line" if self.size > 1 else "one node",
                "fork": f"{FORK_NODES} nodes",
                "fan": f"{size} side by side",
                "nested": f"{size} nested subflows",
                "loop": f"a loop of {size}",
                "wait": "one that waits",
            }[self.form]
        )

    def warm(self) -> "Shape":
        """Return a small one of the same form, which fills caches and loads code."""
        return self._replace(runs=1, size=min(self.size, WARM))


def shapes(*, quick: bool) -> list[Shape]:
    """Return what is measured, the small ones first; `quick` makes them small.

    Not those that stand beside a figure recorded elsewhere: they have its size in any case. The
    long line goes on in a fresh history even when it is small.
    """
    many, line = Shape("many", "fork", FORK_NODES, 100), Shape("line", "line", 1_000)
    return [
        *_each(Shape("one", "line", 1, 40 if quick else 200, at_once=False)),
        *_each(Shape("nested", "nested", 10, 2 if quick else 10)),
        *_each(Shape("fan", "fan", 200)),
        *_each(Shape("loop", "loop", 100 if quick else 500)),
        many._replace(runs=20) if quick else many,
        *_each(many)[1:],
        line._replace(size=200) if quick else line,
        *_each(line)[1:],
        *_each(Shape("crowd", "fork", FORK_NODES, 50 if quick else 1_000, rounds=1)),
        *_each(Shape("long", "line", 900 if quick else 10_000, rounds=1)),
        Shape("waiting", "wait", 1, 100 if quick else 1_000, kind="inline", rounds=1),
    ]


def _each(shape: Shape) -> list[Shape]:
    """Return a shape with tasks of each kind."""
    return [shape._replace(kind=kind) for kind in KINDS]


@cache
def document(shape: Shape) -> bytes:
    """Return the template of a shape, a web tree in JSON."""
    return _web(shape.form, shape.size, _CODES[shape.kind]).text()


@cache
def plan_of(shape: Shape) -> Plan:
    """Return the plan of a shape, made of its template as an import makes it."""
    (template,) = parse(document(shape), shape.key).templates
    return compile_template(template)


def _web(form: Form, size: int, plugin: tuple[str, str]) -> Web:
    web = Web()
    web.variable("text", TEXT)
    match form:
        case "line":
            last = _row(web, "n", size, START, plugin)
        case "fork":
            last = _fork(web, plugin)
        case "fan":
            last = _branches(web, size, 1, START, plugin)
        case "nested":
            last = _nested(web, size, plugin)
        case "loop":
            last = _loop(web, size, plugin)
        case "wait":
            web.task("n0", "pause_node", "legacy", {"description": "${text}"})
            last = web.join(START, "n0")
    if last:
        web.join(last, END)
    return web


def _row(web: Web, name: str, count: int, last: str, plugin: tuple[str, str]) -> str:
    """Lay tasks one behind the other, and return the last."""
    for number in range(count):
        key = web.task(f"{name}{number}", *plugin, {"text": "${text}"})
        last = web.join(last, key)
    return last


def _fork(web: Web, plugin: tuple[str, str]) -> str:
    last = _row(web, "a", 2, START, plugin)
    last = _branches(web, BRANCHES, 2, last, plugin)
    return _row(web, "c", 3, last, plugin)


def _branches(web: Web, count: int, length: int, last: str, plugin: tuple[str, str]) -> str:
    """Lay rows beside each other, and return where they meet."""
    fork = web.join(last, web.gateway("fork", "ParallelGateway"))
    join = web.gateway("join", "ConvergeGateway")
    for number in range(count):
        web.join(_row(web, f"b{number}_", length, fork, plugin), join)
    return join


def _nested(web: Web, depth: int, plugin: tuple[str, str]) -> str:
    """Lay tasks around a flow of the same kind, so many deep."""
    last = _row(web, f"before{depth}_", NESTED_TASKS - 1, START, plugin)
    if depth > 1:
        inner = Web()
        inner.variable("text", TEXT)
        inner.join(_nested(inner, depth - 1, plugin), END)
        last = web.join(last, web.subflow(f"inner{depth}", inner))
    return _row(web, f"after{depth}_", 1, last, plugin)


def _loop(web: Web, times: int, plugin: tuple[str, str]) -> str:
    """Lay a task that is come back to; the gateway leads to the end by itself."""
    web.output_variable("turn", "n0", "_loop")
    last = _row(web, "n", 1, START, plugin)
    web.choice("again", {"n0": f"${{turn}} < {times}", END: f"${{turn}} >= {times}"})
    web.join(last, "again")
    return ""
