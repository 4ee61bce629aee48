"""Short names for nodes: as few characters of a long id as a verb needs to find the node.

Ids that a canvas made are 33 characters, and a path has one for each subflow around the node: an
object for the update's box would break over lines, and nobody could read or tell it.
"""

from bisect import bisect_left
from collections import Counter
from functools import cached_property
from typing import Final

from translator.plan import ROOT, Flow, FlowPath, NodePath, Plan, Subflow, join_path

SHORT: Final = 7
"""The least characters of a beginning; as many as people know from version control."""
_LONG: Final = 14
"""An id up to this length is shown whole."""


class Names:
    """The names by which the nodes of one plan can be told apart, gathered when first needed."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def short(self, path: NodePath) -> str:
        """Return the shortest name that means `path` and nothing else; mostly the path itself."""
        own = path.rpartition("/")[2]
        if len(path) <= _LONG or self._spelt.get(own) != 1:
            return path
        if len(own) <= _LONG:
            return own
        at = bisect_left(self._sorted, own)
        near = [*self._sorted[max(0, at - 1) : at], *self._sorted[at + 1 : at + 2]]
        shared = max((_shared(own, other) for other in near), default=0)
        return own[: max(shared + 1, SHORT)] if shared < len(own) else path

    @cached_property
    def _spelt(self) -> Counter[str]:
        """Count the nodes that a text could mean: as path, as id or as name."""
        found: Counter[str] = Counter()
        stack: list[tuple[FlowPath, Flow]] = [(ROOT, self._plan.flow)]
        while stack:
            at, flow = stack.pop()
            for key, node in flow.nodes.items():
                path = join_path(at, key)
                found.update({path, path.rpartition("/")[2], node.name})
                if isinstance(node, Subflow):
                    stack.append((path, node.flow))
        return found

    @cached_property
    def _sorted(self) -> list[str]:
        """All those texts in order: the ones that begin most alike stand side by side."""
        return sorted(self._spelt)


def _shared(left: str, right: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(left), len(right)))
