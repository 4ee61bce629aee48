"""What a job is called in JOB."""

from datetime import datetime
from typing import Final

from activities.blueking.client import Json

_LENGTH: Final = 50
_WITHOUT: Final = str.maketrans("", "", "<>$&'\"")


def task_name(node_name: str, now: datetime, at: int = 0) -> Json:
    """Return the name of a job after its node, made unique by the time; nothing without a name.

    `at` tells apart the jobs that a node starts at the same moment.
    """
    name = node_name.translate(_WITHOUT)[:_LENGTH]
    return {"task_name": f"{name}_{int(now.timestamp() * 1000) + at}"} if name else {}
