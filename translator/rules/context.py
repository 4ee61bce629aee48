"""What a rule sees: one tree of a template, facts about it worked out once, and the catalog."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, Protocol, TypeAlias

from pydantic import JsonValue

from stdops import Diagnostic, Location, Severity
from translator.graph import Graph, GraphProblem, components, graph_of, reachable, tree_problems
from translator.plan import NodeId, VariableKey
from translator.template import SourceSubflow, SourceValue, SourceVariable, Template, Tree
from translator.values import BUILTINS, MODULES, InputType, insides, references
from translator.values.fragments import texts
from translator.values.safety import RESERVED, SHIELDED

LOOP_OUTPUTS: Final = frozenset({"_loop", "_inner_loop"})
"""Outputs that a node sees already while it starts."""

_ALWAYS_KNOWN: Final = frozenset({"_system", "_result", *LOOP_OUTPUTS})
"""Names that the system gives to every run."""

_WORDS: Final = BUILTINS | MODULES | SHIELDED | RESERVED
"""Names of the expression language; whether one may be used is the business of SOP209."""

_SPELLED: Final = re.compile(r"\$\{([^{}]+)\}")
_MAX_SUGGESTIONS: Final = 3
_MAX_COMPARED: Final = 30


class PluginInput(NamedTuple):
    """One input that a plugin declares.

    `choices`: what it may be, or what its items may be; empty where it is no choice. `pattern`: a
    regular expression that finds something in every usable text, "" for none.
    """

    name: str
    type: InputType
    required: bool
    choices: tuple[JsonValue, ...] = ()
    pattern: str = ""


class PluginFacts(NamedTuple):
    """What checks need to know of a plugin; with `open_inputs` unknown inputs are fine."""

    code: str
    version: str
    name: str
    inputs: tuple[PluginInput, ...]
    outputs: tuple[str, ...]
    open_inputs: bool


class Catalog(Protocol):
    """The plugins that exist where the template is to run."""

    def plugin(self, code: str, version: str) -> PluginFacts | None:
        """Return the facts of one version of a plugin, or None when it is unknown."""
        ...

    def called(
        self, code: str, version: str, inputs: Mapping[str, JsonValue]
    ) -> PluginFacts | None:
        """Return the facts of what a task calls; its inputs may say more than code and version.

        Args:
            code: the code that the template names.
            version: the version beside it.
            inputs: those inputs that are written out.
        """
        ...

    def versions(self, code: str) -> tuple[str, ...]:
        """Return the known versions of `code`; empty when the code is unknown."""
        ...

    def codes(self) -> tuple[str, ...]:
        """Return all known plugin codes."""
        ...

    def lazy_codes(self) -> tuple[str, ...]:
        """Return the known types of lazy variables."""
        ...


class Read(NamedTuple):
    """A place that reads a variable; `reader` is the node that needs it, None for a variable."""

    key: VariableKey
    reader: NodeId | None
    what: str
    at: str


class Text(NamedTuple):
    """A value that is rendered, and where it stands."""

    value: JsonValue
    reader: NodeId | None
    what: str
    at: str


@dataclass(frozen=True)
class Context:
    """One tree of a template; `outer` is the context of the tree that holds it, by `holder`.

    Facts are worked out on first use and kept.
    """

    template: Template
    tree: Tree
    catalog: Catalog | None = None
    outer: "Context | None" = None
    holder: SourceSubflow | None = None

    def report(self, code: str, severity: Severity, at: str, what: str, fix: str) -> Diagnostic:
        """Build a finding at the JSON pointer `at`."""
        return Diagnostic(code, severity, what, fix, Location(self.template.file, at))

    @cached_property
    def inner(self) -> "tuple[Context, ...]":
        """The contexts of the nested trees: of subflows, then of independent children."""
        children = [task.child for task in self.tree.tasks.values() if task.child]
        return tuple(
            Context(self.template, sub.tree, self.catalog, self, sub)
            for sub in (*self.tree.subflows.values(), *children)
            if sub.tree
        )

    def family(self) -> "Iterator[Context]":
        """Yield this context and those of all nested trees, outer before inner."""
        waiting: list[Context] = [self]
        while waiting:
            context = waiting.pop()
            yield context
            waiting.extend(reversed(context.inner))

    @property
    def is_web(self) -> bool:
        """Say whether bk-sops itself would check this template before it stores it."""
        return self.template.format != "engine"

    @property
    def is_stored(self) -> bool:
        """Say whether bk-sops would check the variables of this tree: only the root's."""
        return self.is_web and self.outer is None

    # --- the graph ---------------------------------------------------------------------------

    @cached_property
    def graph(self) -> Graph:
        """The nodes of the tree with their neighbours."""
        return graph_of(self.tree)

    @cached_property
    def problems(self) -> tuple[GraphProblem, ...]:
        """Why the real engine would refuse the tree."""
        return tuple(tree_problems(self.tree, self.graph))

    def refused(self, code: str) -> Iterator[Diagnostic]:
        """Report the problems of the real engine's own checks that have `code`."""
        for problem in self.problems:
            if problem.code == code:
                yield self.report(code, "error", problem.at, problem.text, problem.fix)

    @cached_property
    def reachable(self) -> frozenset[NodeId]:
        """The nodes that the start leads to."""
        return frozenset(reachable(self.graph.targets, self.graph.start))

    @cached_property
    def ran_before(self) -> Mapping[NodeId, int]:
        """Per node the nodes that write a variable and can have run before it, as bits.

        The bit of a node is `writer_bits[node]`.
        """
        masks: dict[NodeId, int] = {}
        for part in components(self.graph.sources):
            mask = 0
            for node in part:
                for source in self.graph.sources[node]:
                    mask |= masks.get(source, 0) | self.writer_bits.get(source, 0)
            masks |= dict.fromkeys(part, mask)
        return masks

    # --- variables ---------------------------------------------------------------------------

    @cached_property
    def writers(self) -> Mapping[VariableKey, tuple[tuple[NodeId, str], ...]]:
        """Per variable the nodes that write it, with the output that they write."""
        return {key: each.sources for key, each in self.tree.variables.items() if each.sources}

    @cached_property
    def writer_bits(self) -> Mapping[NodeId, int]:
        """One bit for each node that writes a variable."""
        nodes = dict.fromkeys(node for pairs in self.writers.values() for node, _ in pairs)
        return {node: 1 << place for place, node in enumerate(nodes)}

    @cached_property
    def known(self) -> frozenset[VariableKey]:
        """The variables that exist in this tree, without those that the system gives."""
        given = frozenset(self.tree.variables)
        if self.holder:
            given |= frozenset(self.holder.params)
            if self.holder.shares_context and self.outer:
                given |= self.outer.known
        return given

    @cached_property
    def known_names(self) -> tuple[VariableKey, ...]:
        """The known variables in alphabetical order, for suggestions."""
        return tuple(sorted(self.known))

    def is_known(self, key: VariableKey) -> bool:
        """Say whether a reference to `key` can find something."""
        given = key in _ALWAYS_KNOWN or key in _WORDS or key.startswith("_env_")
        return given or key in self.known

    def names_in(self, value: JsonValue) -> tuple[str, ...]:
        """Return the names that `value` refers to, in order of first use."""
        found = dict.fromkeys(inside for text in texts(value) for inside in insides(text))
        # nearly every fragment is just the key of a variable; only others need to be parsed
        return tuple(found) if found.keys() <= self.known else references(value)

    @cached_property
    def texts(self) -> tuple[Text, ...]:
        """Every value that is rendered: of nodes, then of variables; plain ones never are."""
        return (*self._node_texts(), *self._variable_texts())

    def _node_texts(self) -> Iterator[Text]:
        for task in self.tree.tasks.values():
            yield from _texts(task.inputs, task.id, f"of node {task.name or task.id!r}", "input")
        for sub in self.tree.subflows.values():
            yield from _texts(sub.params, sub.id, f"of subflow {sub.name or sub.id!r}", "parameter")
        for gateway in self.tree.gateways.values():
            for each in gateway.conditions:
                what = f"condition of gateway {gateway.name or gateway.id!r}"
                yield Text(each.text, gateway.id, what, each.at)

    def _variable_texts(self) -> Iterator[Text]:
        for key, each in self.tree.variables.items():
            if each.value and each.value.kind != "plain" and key not in self.overridden:
                yield Text(each.value.value, None, f"variable {key!r}", each.value.at)

    @cached_property
    def reads(self) -> tuple[Read, ...]:
        """Every reference to a variable from a value, a condition, or the outputs."""
        found = [
            Read(key, text.reader, text.what, text.at)
            for text in self.texts
            for key in self.names_in(text.value)
        ]
        end = self.tree.end.id
        found += [Read(key, end, "the outputs", self.tree.outputs_at) for key in self.tree.outputs]
        found += [
            Read(key, self.tree.start.id, f"pre-rendered variable {key!r}", each.at)
            for key, each in self.tree.variables.items()
            if each.pre_render
        ]
        return tuple(found)

    @cached_property
    def overridden(self) -> frozenset[VariableKey]:
        """The variables whose value comes from the parent flow, so that their own never counts."""
        return frozenset(self.holder.params) if self.holder else frozenset()

    @cached_property
    def variable_reads(self) -> Mapping[VariableKey, tuple[VariableKey, ...]]:
        """Per variable those that its own value refers to, if the value is its own."""
        return {
            key: tuple(name for name in self._references_of(each) if name in self.known)
            for key, each in self.tree.variables.items()
        }

    def _references_of(self, variable: SourceVariable) -> tuple[VariableKey, ...]:
        value = variable.value
        if value is None or value.kind == "plain" or variable.key in self.overridden:
            return ()
        return self.names_in(value.value)

    @cached_property
    def spelled(self) -> Mapping[VariableKey, tuple[VariableKey, ...]]:
        """Per variable those that its value names exactly as `${key}`, at any depth.

        Source: bk-sops, the constants check of a stored tree; it does not see `${key.x}`, but it
        looks at the keys of objects too. A value that the parent flow gives counts for nothing.
        """
        keys = self.tree.variables
        return {
            key: tuple(name for name in _spelled(each.value.value) if name in keys)
            if each.value and key not in self.overridden
            else ()
            for key, each in keys.items()
        }

    @cached_property
    def behind(self) -> Mapping[VariableKey, tuple[VariableKey, ...]]:
        """Per variable the written ones that its value depends on, itself included."""
        written = list(self.writers)
        own = {key: 1 << place for place, key in enumerate(written)}
        masks = dict(own)
        reading = {key: reads for key, reads in self.variable_reads.items() if reads}
        for part in components(reading):
            mask = 0
            for key in part:
                mask |= own.get(key, 0)
                for read in reading[key]:
                    mask |= masks.get(read, 0)
            masks |= dict.fromkeys(part, mask)
        return {key: tuple(_chosen(written, mask)) for key, mask in masks.items() if mask}


def _texts(
    values: Mapping[str, SourceValue], reader: NodeId, owner: str, word: str
) -> Iterator[Text]:
    """Yield those of a node's values that are rendered."""
    for name, value in values.items():
        if value.kind != "plain":
            yield Text(value.value, reader, f"{word} {name!r} {owner}", value.at)


def _spelled(value: JsonValue) -> list[str]:
    """Collect the insides of all `${...}` in the texts and keys of `value`, each once."""
    found: dict[str, None] = {}
    waiting: list[JsonValue] = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            found |= dict.fromkeys(_SPELLED.findall(part) if "${" in part else ())
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += [*part, *part.values()]
    return list(found)


def _chosen(keys: Sequence[VariableKey], mask: int) -> Iterator[VariableKey]:
    """Yield the keys whose bit is set; costs what is set, not what could be."""
    while mask:
        lowest = mask & -mask
        yield keys[lowest.bit_length() - 1]
        mask ^= lowest


# --- rules -----------------------------------------------------------------------------------

Check: TypeAlias = Callable[[Context], Iterator[Diagnostic]]


class Rule(NamedTuple):
    """One check with its code; the docstring of `check` is the code's documentation."""

    code: str
    title: str
    check: Check


def rule(code: str, title: str) -> Callable[[Check], Rule]:
    """Make a rule of the function below."""
    return lambda check: Rule(code, title, check)


def near(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return at most three of `names` that look like `name`, best first."""
    found = list(names)
    if len(found) > _MAX_COMPARED:  # comparing is slow: keep those that share a beginning or an end
        near_length = [each for each in found if abs(len(each) - len(name)) <= 1]
        found = [each for each in near_length if each[:2] == name[:2] or each[-2:] == name[-2:]]
    return tuple(difflib.get_close_matches(name, found[:_MAX_COMPARED], _MAX_SUGGESTIONS))


def did_you_mean(name: str, names: Iterable[str], otherwise: str) -> str:
    """Suggest what is near `name`, else say `otherwise`."""
    found = near(name, names)
    return f"did you mean {' or '.join(map(repr, found))}?" if found else otherwise
