"""For which business a component acts."""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from activities.blueking.client import BlueKing, Json
from activities.blueking.form import Fields
from activities.blueking.hosts import Scope
from activities.calls import PluginError

_NO_BUSINESS: Final = (
    "no business is given: fill in the component's business, or start the run in a project that "
    "has one (project field bk_biz_id)"
)


def scope_of(context: Mapping[str, JsonValue], form: Fields | None = None) -> Scope:
    """Return the business of a form's `biz_cc_id`, else of the run's project.

    Raises:
        PluginError: there is none.
    """
    given = form.number("biz_cc_id") if form is not None else None
    business = Fields(context).number("biz_cc_id") if given is None else given
    if business is None:
        business = Fields(context).number("bk_biz_id")
    if business is None:
        raise PluginError(_NO_BUSINESS)
    return Scope(business, context.get("biz_supplier_account") or "0")


def job_scope(business: int, kind: str = "biz") -> Json:
    """Return the fields by which JOB is told where it works."""
    return {"bk_scope_type": kind, "bk_scope_id": str(business), "bk_biz_id": business}


async def business_set_scope(bk: BlueKing, set_id: int) -> Json:
    """Return JOB's scope of a business set; an id that is none counts as a business.

    Source: bk-sops's components over all businesses.
    """
    rule: Json = {"field": "bk_biz_set_id", "operator": "equal", "value": set_id}
    params: Json = {"bk_biz_set_filter": {"condition": "AND", "rules": [rule]}}
    known = bool((await bk.object("cc.list_business_set", params)).get("info"))
    return job_scope(set_id, "biz_set" if known else "biz")
