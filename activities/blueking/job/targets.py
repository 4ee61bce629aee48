"""Which hosts a JOB component works on, by the rule of its version."""

from typing import Final, Literal, assert_never

from activities.blueking import hosts
from activities.blueking.client import BlueKing, Json
from activities.blueking.form import Fields
from activities.blueking.hosts import Scope
from activities.calls import PluginError

Resolver = Literal["strict", "hybrid", "hybrid_or_ids"]

_HINT: Final = "ip查询失败，请检查ip配置是否正常"


async def target(
    bk: BlueKing, scope: Scope, text: str, resolver: Resolver, *, across: bool = False
) -> Json:
    """Return the target server that a text of hosts means.

    Args:
        bk: the platform.
        scope: the business in which hosts are looked for.
        text: the hosts as people write them.
        resolver: the rule of the component's version.
        across: hosts may be of any business, each with its cloud area.

    Raises:
        PluginError: some hosts are not there, or are written in a form that the rule refuses.
    """
    if across:
        return hosts.across_target(text)
    match resolver:
        case "strict":
            return await hosts.strict_target(bk, scope, text)
        case "hybrid":
            return await hosts.hybrid_target(bk, scope, text)
        case "hybrid_or_ids":
            return await hosts.hybrid_or_ids_target(bk, scope, text)
        case _:
            assert_never(resolver)


async def checked_target(
    bk: BlueKing, scope: Scope, text: str, resolver: Resolver, *, across: bool = False
) -> Json:
    """Return the target server as `target` does, with the hint of those that push to it.

    Raises:
        PluginError: as `target`; the text begins with what bk-sops tells here.
    """
    try:
        return await target(bk, scope, text, resolver, across=across)
    except PluginError as error:
        if error.retryable:
            raise
        raise PluginError(f"{_HINT}: {error.what}") from error


def rolling(form: Fields) -> Json:
    """Return JOB's rolling configuration where the form asks for one."""
    part = form.part("job_rolling_config")
    if not part.flag("job_rolling_execute"):
        return {}
    mode = part.number("job_rolling_mode")
    return {"rolling_config": {"expression": part.line("job_rolling_expression"), "mode": mode}}
