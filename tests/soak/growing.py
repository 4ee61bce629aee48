"""Random plans from a seed: those of the property tests with children, and plans without races.

In a plan without races no variable is written by one branch while another may read it: what comes
out of such a run follows from what its plugins answer, in whatever order they do.
"""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from tests.helpers.plans import flow as chain
from tests.helpers.plans import subflow, task, variable, writes
from tests.helpers.strategies import FLAGS, ChoiceT, Grower
from translator.plan import (
    Branch,
    Child,
    ConditionalParallel,
    Converge,
    End,
    Exclusive,
    Flow,
    Node,
    NodeId,
    Parallel,
    Plan,
    Start,
    Value,
)
from translator.values import classify, parse_condition

MOST_BLOCKS: Final = 25
CHILD_SHARE: Final = 6
"""One block in so many is a child."""

CODES: Final = (
    *("echo", "quick") * 3,
    *("multi", "show", "pause", "timer", "nobody_has_it"),
)
TIMES: Final = (5, "${v}", "never", 60)


class Dice:
    """Chance by a seed."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def pick(self, options: Sequence[ChoiceT]) -> ChoiceT:
        """One of the options."""
        return self._random.choice(options)

    def number(self, least: int, most: int) -> int:
        """A whole number, the bounds included."""
        return self._random.randint(least, most)

    def some(self, options: Sequence[str], most: int) -> list[str]:
        """One or more of the options, each once, in their order."""
        chosen = self._random.sample(options, self.number(1, most))
        return [each for each in options if each in chosen]


class Wild(Grower):
    """The plans of the property tests, with children."""

    def block(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """One block, now and then a child."""
        if self.budget > 0 and self.chance.number(1, CHILD_SHARE) == 1:
            return self.child(nodes, then, {}, "v")
        return super().block(nodes, then, depth)

    def child(
        self, nodes: dict[NodeId, Node], then: NodeId, options: dict[str, Any], own: str
    ) -> NodeId:
        """A task that starts a run of its own, which hands back a variable."""
        inner = chain("n", variables=[variable("v")], outputs=["v"])
        made = task(
            self.key("t"),
            {"v": "${v}"},
            to={"${v}": own},
            plugin="subprocess_plugin",
            child=Child(flow=inner, name="Inner"),
            **(options or (self.options() if self.chance.number(0, 2) == 0 else {})),
        )
        nodes[made.id] = made.model_copy(update={"next": then})
        return made.id


class Scope(NamedTuple):
    """The variables of the branch that grows: the one that it writes, those that it may read."""

    own: str
    seen: tuple[str, ...]


TRUNK: Final = Scope("v", ("v", "w"))


class Calm(Wild):
    """Plans without races, whose loops come to an end."""

    def __init__(self, chance: Dice, budget: int) -> None:
        super().__init__(chance, budget)
        self.scope = TRUNK
        self.branches: list[str] = []
        self.named = 0

    def flow(self, depth: int) -> Flow:
        """A flow with a variable for each branch, all of them its outputs."""
        outer, self.scope, self.branches = (self.scope, self.branches), TRUNK, []
        nodes: dict[NodeId, Node] = {"end": End(id="end", name="end")}
        first = self.sequence(nodes, "end", depth)
        nodes["start"] = Start(id="start", name="start", next=first)
        rendered = variable("w", "w ${v}", pre_render=self.chance.pick(FLAGS))
        known = [variable("v", 0), rendered, *(variable(key, 0) for key in self.branches)]
        made = {each.key: each for each in known}
        self.scope, self.branches = outer
        return Flow(start="start", nodes=nodes, variables=made, outputs=tuple(made))

    @contextmanager
    def branch(self) -> Any:
        """Grow a branch, which has a variable to itself."""
        outer, own = self.scope, f"b{self.named}"
        self.named += 1
        self.branches.append(own)
        self.scope = Scope(own, (*outer.seen, own))
        yield own
        self.scope = outer

    def value(self) -> tuple[JsonValue, Value]:
        """A value of an input, as it is written and as it is read."""
        key = self.chance.pick(self.scope.seen)
        text: JsonValue = self.chance.pick(["text", f"${{{key}}}", f"${{{key} + 1}}", 3])
        return text, classify(text, self.scope.seen)

    def task(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """A task that writes its branch's variable, or none."""
        if self.chance.number(1, CHILD_SHARE) == 1:
            return self.child(nodes, then, {"skippable": self.chance.pick(FLAGS)}, self.scope.own)
        chance, code = self.chance, self.chance.pick(CODES)
        options = self.options() if chance.number(0, 3) == 0 else {}
        if code in {"nobody_has_it", "timer"}:
            options["skippable"] = True
        return self.made(nodes, then, {"plugin": code, **options}, writes_own=chance.pick(FLAGS))

    def made(
        self, nodes: dict[NodeId, Node], then: NodeId, options: dict[str, Any], *, writes_own: bool
    ) -> NodeId:
        """One task with these options."""
        own = self.scope.own
        read: dict[str, Value] = {"x": self.value()[1]}
        if options["plugin"] == "timer":
            read["for"] = classify(self.chance.pick(TIMES), self.scope.seen)
        made = task(self.key("t"), {}, **options)
        loop = made.loop.model_copy(update={"outputs_key": own}) if made.loop else None
        nodes[made.id] = made.model_copy(
            update={
                "next": then,
                "inputs": read,
                "loop": loop,
                "writes": writes({"out": own}) if writes_own else (),
            }
        )
        return made.id

    def block(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """One block."""
        if depth > 2 or self.budget <= 0:
            return self.task(nodes, then, depth)
        kinds: list[Callable[[dict[NodeId, Node], NodeId, int], NodeId]]
        kinds = [self.task, self.task, self.fork, self.choice, self.back_edge, self.subflow]
        return self.chance.pick(kinds)(nodes, then, depth)

    def ways(self, key: NodeId, targets: Sequence[NodeId]) -> tuple[Branch, ...]:
        """Branches with conditions that read what the branch may read."""
        read = self.chance.pick(self.scope.seen)
        texts = (f"${{{read}}} == 1", "1 == 1", "1 == 2", f"${{{read} + 0}} == 1", "no condition")
        return tuple(
            Branch(edge=f"{key}-{at}", target=to, condition=self.condition(self.chance.pick(texts)))
            for at, to in enumerate(targets)
        )

    def condition(self, text: str) -> Any:
        """A condition that reads the variables in sight."""
        return parse_condition(text, self.scope.seen)

    def fork(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """A fork whose branches have a variable each; a branch may be empty."""
        join, key = self.key("join"), self.key("fork")
        nodes[join] = Converge(id=join, name=join, next=then)
        targets: list[NodeId] = []
        for _ in range(self.chance.number(1, 3)):
            with self.branch():
                targets.append(self.sequence(nodes, join, depth + 1))
        ways = self.ways(key, [*targets, *[join] * self.chance.number(0, 1)])
        default = ways[-1] if self.chance.pick(FLAGS) else None
        nodes[key] = (
            Parallel(id=key, branches=ways, converge=join)
            if self.chance.pick(FLAGS)
            else ConditionalParallel(id=key, branches=ways, default=default, converge=join)
        )
        return key

    def back_edge(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """Blocks that are repeated for as long as a task in them says so."""
        key, own = self.key("xor"), self.scope.own
        asks = self.made(nodes, key, {"plugin": "echo"}, writes_own=True)
        first = self.sequence(nodes, asks, depth + 1)
        again = Branch(edge=f"{key}-0", target=first, condition=self.condition(f"${{{own}}} == 1"))
        on = Branch(edge=f"{key}-1", target=then)
        nodes[key] = Exclusive(id=key, name=key, branches=(again,), default=on)
        return first

    def subflow(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """A nested flow, which hands its variable to the branch around it."""
        shares = self.chance.pick(FLAGS)
        made = subflow(
            self.key("sub"),
            self.flow(depth + 1),
            shares_context=shares,
            to={"v": self.scope.own} if self.chance.pick(FLAGS) else {},
        )
        params = {} if shares else {"v": self.value()[1]}
        nodes[made.id] = made.model_copy(update={"next": then, "params": params})
        return made.id


def wild_plan(random: Random) -> Plan:
    """A plan in which branches may disturb each other."""
    dice = Dice(random)
    return Plan(template_key="t", flow=Wild(dice, dice.number(1, MOST_BLOCKS)).flow(0))


def calm_plan(random: Random) -> Plan:
    """A plan without races."""
    dice = Dice(random)
    return Plan(template_key="t", flow=Calm(dice, dice.number(1, MOST_BLOCKS)).flow(0))
