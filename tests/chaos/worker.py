"""A worker, or a receiver of callbacks, in a process of its own, there to be killed.

`python -m tests.chaos.worker worker|receiver SETTINGS SERVICE_URL TEMPORAL_ADDRESS`, the settings
as JSON. It says "ready" when it serves.
"""

from tests.chaos.flows import registry
from tests.helpers.faulty_worker import run

if __name__ == "__main__":
    run(registry)
