"""The doctor: looks at an installation, check by check, and says of each what mends it.

`findings` are what it says, `here` looks at this machine, `server` at Temporal, `outside` at what
is reached by HTTP. No check changes anything, and none raises: what it meets is what it says.
"""

import asyncio
from typing import Final

from stdops import StdopsError
from workers.doctor.findings import Check, Finding, failure
from workers.doctor.here import HERE
from workers.doctor.outside import OUTSIDE
from workers.doctor.server import examine_server
from workers.settings import Settings

LIMIT_S: Final = 20.0
"""How long one check may take."""


async def examine(settings: Settings) -> list[Finding]:
    """Make all checks; in their order, this machine's first."""
    checks = (*HERE, *OUTSIDE)
    several = [_bounded(check, settings) for check in checks]
    found = await asyncio.gather(*several, _server(settings))
    return [finding for each in found for finding in each]


async def _bounded(check: Check, settings: Settings) -> list[Finding]:
    try:
        async with asyncio.timeout(LIMIT_S):
            return await check.look(settings)
    except TimeoutError:
        what = f"no answer within {LIMIT_S:.0f} s"
        return [failure(check.name, what, check.why, "look at what it asks, then try again")]
    except StdopsError as error:
        return [failure(check.name, error.what, check.why, error.fix, error.where)]
    except Exception as error:  # noqa: BLE001  the doctor must not be the next patient
        what = f"the check itself failed: {type(error).__name__}: {error}"
        return [failure(check.name, what, check.why, "please report it")]


async def _server(settings: Settings) -> list[Finding]:
    check = Check("server", "runs live there; without it nothing starts or goes on", examine_server)
    return await _bounded(check, settings)
