"""How the platform breaks down where it is asked to: which call, how, how often, by which seed."""

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias, get_args

FaultKind: TypeAlias = Literal[
    "drop", "lost", "error", "gateway", "busy", "slow", "junk", "shape", "twice", "early"
]
"""drop: the line breaks and nothing is done. lost: it is done, and then the line breaks. error:
status 500. gateway: it is done, and a gateway answers 502. busy: status 429. slow: the answer comes
late. junk: no JSON. shape: JSON that is no envelope. Of callbacks (`callback.job`,
`callback.itsm`): lost, twice, and early (first an intermediate status)."""

KINDS: Final = get_args(FaultKind)


@dataclass(slots=True)
class Fault:
    """One rule: calls whose name fits `api` break by chance, at most `times` times."""

    api: str
    kind: FaultKind
    times: int | None = None
    probability: float = 1.0
    seconds: float = 1.0
    seed: int = 0
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311  chance that can be repeated

    def strikes(self, api: str) -> bool:
        """Say whether a call breaks; one that does counts."""
        if self.times == 0 or not fnmatchcase(api, self.api):
            return False
        if self.chance.random() >= self.probability:
            return False
        self.times = None if self.times is None else self.times - 1
        return True


def pick(faults: list[Fault], api: str) -> Fault | None:
    """Return the first rule by which a call breaks, None for none."""
    return next((fault for fault in faults if fault.strikes(api)), None)
