"""The page of everything that is there for BlueKing, `docs/plugins-blueking.md`.

`python -m activities.blueking.reference > docs/plugins-blueking.md` writes it; a test fails when it
is stale.
"""

import inspect
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from activities.blueking.catalogue import SETTINGS, Component, components
from activities.blueking.config import BlueKingSettings
from activities.blueking.plugins import plugins
from activities.catalogue import plugin_markdown, settings_markdown, table
from activities.registry import Part, Registry
from activities.sdk import AnyPlugin, LazyVariable

_HEAD: Final = """\
# Plugins and variables for BlueKing

Written by `python -m activities.blueking.reference > docs/plugins-blueking.md`.

The codes, versions, inputs and outputs are those of bk-sops, so that its templates run as they
are. The types of the inputs, their choices, and which must be filled in, are those of bk-sops's
forms; `stdops lint` compares a template with them.

A component calls the platform at the addresses of the settings below, as the user on whose behalf
the run acts. A call that only reads may be sent again when its answer is lost. One that changes
something is not: its node fails with "outcome unknown", says what to look at, and waits for a
person, unless the table says that it is safe to repeat.

Without a platform, `stdops demo --blueking` and `stdops dev --fake-bk` bring a fake one, which
keeps what it is told, lets jobs take their time, calls back, shows a page of each job and ticket,
and breaks down where it is asked to: `GET /_fake/state` tells what it keeps, `POST /_fake/faults`
sets what breaks. On it every way of each component is run, and what is asked compared field by
field; `python -m tests.tools.blueking_coverage` prints which ways there are.
"""

_COLUMNS: Final = ("code", "version", "name", "manner")
_MANNERS: Final = """\
*at once*: has ended when its calls have; *polled*: looks again until the work has ended; *called
back*: the platform tells the end; *safe to repeat*: a lost answer does no harm; *stops*: what it
started is stopped when its node is cancelled. A component *not served* fails when it is met.
"""

_ELSEWHERE: Final = """\
## Components that need no BlueKing

| code | where |
| --- | --- |
| `bk_display`, `bk_http_request`, `pause_node`, `sleep_timer` | [core plugins](plugins-core.md) |
| `remote_plugin` | calls third-party plugin services by their protocol |
| `subprocess_plugin` | no plugin: the translator makes a subflow of it |

With those above they are all 99 component-versions of bk-sops.
"""

_MORE: Final = """\
## Other systems of the platform

These are no components of bk-sops. BK-CI is called through the API gateway `devops`, BK-BCS
through `bcs-api-gateway`.
"""

_LEFT_OUT: Final = """\
Left out is fault healing (FTA): no public document was found that says enough of the requests and
answers of its APIs to start something and follow it to its end. Jobs in a cluster are run by
`kubernetes_job`; whatever a gateway serves, `http_request` and `http_wait` can call, with
credentials from a password variable.
"""

_VARIABLES: Final = """\
## Lazy variables

These ask the platform each time a node needs their value. The other types (`select`,
`text_value_select`, `datatable`, `set_allocation`, `bk_user_selector`, `password`, and times) need
nothing from outside. The remote options of a `text_value_select` are those that the template holds:
no address out of a template is fetched.
"""


def markdown(parts: Iterable[Part]) -> str:
    """Return the page about the components of the catalogue and the lazy variables in `parts`."""
    registry = Registry(parts)
    sections = [
        _HEAD,
        settings_markdown(SETTINGS, BlueKingSettings.model_json_schema()),
        f"## Components\n\n{_MANNERS}",
        *(_group(registry, group, rows) for group, rows in _by_group()),
        _ELSEWHERE,
        f"{_MORE}\n{_others(registry)}\n{_LEFT_OUT}",
        f"{_VARIABLES}\n{_variables(registry)}\n",
    ]
    return "\n".join(sections)


def _by_group() -> list[tuple[str, list[Component]]]:
    rows = sorted(components().values(), key=lambda row: (row.group, row.code))
    return [(group, list(each)) for group, each in groupby(rows, key=lambda row: row.group)]


def _group(registry: Registry, group: str, rows: Sequence[Component]) -> str:
    lines = [
        (f"`{row.code}`", row.version, f"{row.name} ({row.english})", _manner(registry, row))
        for row in rows
    ]
    return f"### {group}\n\n{table(_COLUMNS, lines)}\n"


def _manner(registry: Registry, row: Component) -> str:
    found = registry.plugin(row.code, row.version)
    return _manner_of(found) if found else "not served"


def _manner_of(plugin: AnyPlugin) -> str:
    polled, called = plugin.poll_fn is not None, plugin.callback_fn is not None
    is_safe = plugin.traits.idempotent or plugin.traits.quick
    ways = (
        ("at once", not polled and not called),
        ("polled", polled),
        ("called back", called),
        ("safe to repeat", is_safe),
        ("safe to repeat by its inputs", not is_safe and plugin.repeatable_fn is not None),
        ("stops", plugin.stop_fn is not None),
    )
    return ", ".join(name for name, holds in ways if holds)


def _others(registry: Registry) -> str:
    known = components()
    found = registry.plugins()
    others = (each for each in found if (each.ref.code, each.ref.version) not in known)
    return "\n".join(plugin_markdown(each).replace("## ", "### ", 1) for each in others)


def _variables(registry: Registry) -> str:
    found = [registry.lazy(code) for code in registry.lazy_codes()]
    rows = [(f"`{each.code}`", _first_line(each)) for each in found if each is not None]
    return table(("type", "what it computes"), rows)


def _first_line(variable: LazyVariable) -> str:
    line = (inspect.getdoc(variable.look_up) or "").partition("\n")[0]
    return line.removeprefix("Compute ").rstrip(".")


def main() -> None:
    """Print the page."""
    sys.stdout.write(markdown(plugins()))


if __name__ == "__main__":
    main()
