"""`monitor_alarm_shield`, `monitor_alarm_shield_strategy` and `monitor_alarm_shield_disable`.

Source: plugins' reference, section 3.9.
"""

from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import ApiError, BlueKing, Json, as_object
from activities.blueking.form import Fields, Form, Written
from activities.blueking.monitor.scopes import ALL, covered, covered_hosts
from activities.blueking.monitor.times import Period, chosen_period, given_period
from activities.blueking.outcomes import looked_up_at
from activities.blueking.scope import scope_of
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

DESCRIPTION: Final = "shield by bk_sops"
_NO_CYCLE: Final[Json] = {
    "begin_time": "",
    "end_time": "",
    "day_list": [],
    "week_list": [],
    "type": 1,
}


class ShieldRule(NamedTuple):
    """What a version of a component does.

    begin, end: the fields of its period where it offers no duration. dimensions: it narrows a
    strategy's shield to values of dimensions.
    """

    version: str
    begin: str = ""
    end: str = ""
    dimensions: bool = False


BY_SCOPE: Final = (
    ShieldRule("1.0", begin="bk_alarm_shield_begin_time", end="bk_alarm_shield_end_time"),
    ShieldRule("1.1"),
    ShieldRule("1.2"),
    ShieldRule("2.0"),
)
BY_STRATEGY: Final = (
    ShieldRule(
        "1.0",
        begin="bk_alarm_shield_strategy_begin_time",
        end="bk_alarm_shield_strategy_end_time",
    ),
    ShieldRule("1.1"),
    ShieldRule("1.2", dimensions=True),
    ShieldRule("2.0", dimensions=True),
)


def _by_scope(rule: ShieldRule) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Keep alarms of a business, of hosts or of modules quiet for a while."""
        bk, form = blueking(call), call.inputs.fields
        period = _period(call, form, rule)
        scope = scope_of(call.context)
        dimensions = await covered(bk, scope, form.part("bk_alarm_shield_info"))
        metrics = form.items("bk_alarm_shield_target")
        if ALL not in metrics:
            dimensions["metric_id"] = metrics
        return await _add(bk, call, _shield(form, scope.business, "scope", dimensions, period))

    return served("monitor_alarm_shield", rule.version, run)


def _by_strategy(rule: ShieldRule) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Keep the alarms of a strategy quiet for a while."""
        bk, form = blueking(call), call.inputs.fields
        period = _period(call, form, rule)
        scope = scope_of(call.context)
        dimensions: Json = {"id": form.raw("bk_alarm_shield_strategy")}
        if rule.dimensions and (conditions := _conditions(form)):
            dimensions["dimension_conditions"] = conditions
        if "bk_alarm_shield_IP" in form:
            dimensions |= await covered_hosts(bk, scope, form.text("bk_alarm_shield_IP"))
        return await _add(bk, call, _shield(form, scope.business, "strategy", dimensions, period))

    return served("monitor_alarm_shield_strategy", rule.version, run)


async def _disable(call: Call[Form]) -> Written:
    """Lift shields by their ids."""
    request: Json = {"id": call.inputs.fields.items("bk_alarm_shield_id_input")}
    try:
        answer = await blueking(call).answer("monitor_v3.disable_shield", request)
    except ApiError as error:
        outputs: Json = {"data": {"result": error.what}, "status_code": error.code}
        raise PluginError(error.what, outputs=outputs) from error
    return Written.model_validate(
        {"data": {"result": answer.get("data")}, "status_code": answer.get("code")}
    )


def _period(call: Call[Form], form: Fields, rule: ShieldRule) -> Period:
    if rule.begin:
        return given_period(form, rule.begin, rule.end)
    return chosen_period(form, call.now(), call.context)


def _conditions(form: Fields) -> list[JsonValue]:
    """Return the values of dimensions to which a shield is narrowed."""
    chosen = form.line("bk_dimension_select_type")
    return [
        {
            "condition": chosen,
            "key": row.text("dimension_name"),
            "method": "eq",
            "value": [*row.text("dimension_value").split(",")],
            "name": row.text("dimension_name"),
        }
        for row in map(Fields, form.rows("bk_dimension_list"))
    ]


def _shield(form: Fields, business: int, category: str, dimensions: Json, period: Period) -> Json:
    return {
        "begin_time": period.begin,
        "bk_biz_id": business,
        "category": category,
        "cycle_config": _NO_CYCLE,
        "description": form.line("bk_alarm_shield_reason") or DESCRIPTION,
        "dimension_config": dimensions,
        "end_time": period.end,
        "notice_config": {},
        "shield_notice": False,
    }


async def _add(bk: BlueKing, call: Call[Form], shield: Json) -> Written:
    """Add a shield and return its id.

    Raises:
        PluginError: the platform refuses.
    """
    try:
        with looked_up_at(f"the alarm shields of business {shield['bk_biz_id']}"):
            answer = await bk.answer("monitor_v3.add_shield", shield)
    except ApiError as error:
        raise PluginError(error.what, outputs={"shield_id": "", "message": error.what}) from error
    number = as_object(answer.get("data")).get("id")
    call.note(f"shield {number}")
    return Written.model_validate({"shield_id": number, "message": answer.get("message")})


SHIELDS: Final = (
    *map(_by_scope, BY_SCOPE),
    *map(_by_strategy, BY_STRATEGY),
    # lifting what is lifted changes nothing
    served("monitor_alarm_shield_disable", "1.0", _disable, idempotent=True),
)
