"""A BlueKing platform of this process's own: for tests, for the demo, for `stdops dev --fake-bk`.

It answers as the platform's documents say, keeps what it is told, lets jobs take their time, calls
back, refuses what is wrong, and breaks down where it is asked to. It runs nothing anywhere.
"""

from workers.fake_blueking.platform import Platform
from workers.fake_blueking.serving import Served, free_port, serving
from workers.fake_blueking.world import APP_CODE, APP_SECRET, World, shop

__all__ = ["APP_CODE", "APP_SECRET", "Platform", "Served", "World", "free_port", "serving", "shop"]
