"""All BlueKing components and lazy variables: what the entry point `blueking` offers."""

from collections.abc import Iterable

from activities.blueking import (
    approval,
    ci_builds,
    gsekit,
    helm_releases,
    log_search,
    notices,
    wechat_work,
)
from activities.blueking.cmdb import changes, modules, sets, transfer
from activities.blueking.job import files, local_files, others, plans, scripts
from activities.blueking.monitor import shields
from activities.blueking.nodeman import legacy, tasks
from activities.blueking.nodeman import plugins as node_plugins
from activities.blueking.nodemgr import nodes as newer_nodes
from activities.blueking.nodemgr import plugins as newer_plugins
from activities.blueking.variables import hosts, picker, set_modules, staff
from activities.blueking.variables import sets as set_variables
from activities.registry import Part, collect

_MODULES = (
    scripts,
    plans,
    files,
    local_files,
    others,
    sets,
    modules,
    transfer,
    changes,
    notices,
    wechat_work,
    approval,
    shields,
    gsekit,
    tasks,
    legacy,
    node_plugins,
    newer_nodes,
    newer_plugins,
    ci_builds,
    helm_releases,
    log_search,
    hosts,
    picker,
    set_modules,
    set_variables,
    staff,
)


def plugins() -> Iterable[Part]:
    """Return the plugins and lazy variables of all families, each once."""
    return dict.fromkeys(part for module in _MODULES for part in collect(module))
