"""The smaller systems: messages, approvals, alarm shields, processes. Answers as documented."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Handler, Json, RefusedError
from workers.fake_blueking.targets import target_hosts
from workers.fake_blueking.world import Ticket, Work, World

CHANNELS: Final = ("mail", "sms", "voice", "weixin", "rtx")
_APPROVE_STEP: Final = "内置审批节点"
_OPINION, _REMARK = "审批意见", "备注"
_TIME: Final = "%Y-%m-%d %H:%M:%S"
_ENVIRONMENTS: Final = ("1", "2", "3")


# --- messages ---------------------------------------------------------------------------------


def send_msg(world: World, asked: Asked) -> JsonValue:
    """Send a message on a channel."""
    channel = asked.one_of("msg_type", CHANNELS)
    _sent(world, asked, str(channel), asked.text("title"), asked.text("content"))
    return None


def send_mail(world: World, asked: Asked) -> JsonValue:
    """Send a mail."""
    _sent(world, asked, "mail", asked.text("title"), asked.text("content"))
    return None


def send_weixin(world: World, asked: Asked) -> JsonValue:
    """Send a WeChat message."""
    data = asked.part("data")
    _sent(world, asked, "weixin", data.text("heading"), data.text("message"))
    return None


def send_sms(world: World, asked: Asked) -> JsonValue:
    """Send a short message."""
    _sent(world, asked, "sms", "", asked.text("content"))
    return None


def send_voice_msg(world: World, asked: Asked) -> JsonValue:
    """Call people and read a text to them."""
    _sent(world, asked, "voice", "", asked.text("auto_read_message"))
    return None


def get_msg_type(_world: World, _asked: Asked) -> JsonValue:
    """Return the channels."""
    return [{"type": name, "label": name, "is_active": True} for name in CHANNELS]


def _sent(world: World, asked: Asked, channel: str, title: str, content: str) -> None:
    key = "receiver" if asked.has("receiver") else "receiver__username"
    names: list[JsonValue] = [n.strip() for n in asked.text(key).split(",") if n.strip()]
    if not names:
        asked.refuse(key, "names nobody")
    message: Json = {"channel": channel, "to": names, "title": title, "content": content}
    world.messages.append(message)


def wecom_hook(world: World, asked: Asked) -> Json:
    """Write to chats of WeCom as its web hook does, and return its whole answer.

    Source: WeCom's document of robots in groups, and its list of error codes.
    """
    chats = asked.text("chatid").split("|")
    kind = str(asked.one_of("msgtype", ("text", "markdown", "markdown_v2")))
    if gone := [chat for chat in chats if chat in world.gone_chats]:
        return {"errcode": 86003, "errmsg": f"chatid not exist: {', '.join(gone)}"}
    content = asked.part(kind).text("content")
    for chat in chats:
        world.messages.append({"channel": "wecom", "to": [chat], "title": "", "content": content})
    return {"errcode": 0, "errmsg": "ok"}


# --- approvals --------------------------------------------------------------------------------


def create_ticket(world: World, asked: Asked) -> JsonValue:
    """Ask for an approval."""
    if not asked.flag("fast_approval", default=False):
        asked.integer("service_id")
    fields = {row.text("key"): row for row in asked.rows("fields")}
    for key in ("title", "APPROVER", "APPROVAL_CONTENT"):
        if key not in fields or not fields[key].has("value"):
            raise RefusedError(f"fields: {key} is required")
    approvers = [name for name in fields["APPROVER"].text("value").split(",") if name]
    number = world.new_id()
    ticket = Ticket(
        sn=f"REQ{datetime.fromtimestamp(world.clock(), UTC):%Y%m%d}{number}",
        title=fields["title"].text("value"),
        creator=asked.text("creator"),
        approvers=tuple(approvers),
        content=fields["APPROVAL_CONTENT"].text("value"),
        callback_url=asked.part("meta", {"": None}).text("callback_url", ""),
        created_at=world.clock(),
    )
    world.tickets[ticket.sn] = ticket
    return {"sn": ticket.sn}


def get_ticket_info(world: World, asked: Asked) -> JsonValue:
    """Return the step at which a ticket stands, and its fields."""
    ticket = _ticket(world, asked)
    steps: list[JsonValue] = []
    if ticket.decided is None:
        steps = [{"name": _APPROVE_STEP, "state_id": 1, "processors": ",".join(ticket.approvers)}]
    fields: list[JsonValue] = [
        {"key": "opinion", "name": _OPINION, "value": None},
        {"key": "remark", "name": _REMARK, "value": None},
    ]
    return {
        "sn": ticket.sn,
        "title": ticket.title,
        "creator": ticket.creator,
        "current_status": _status(ticket),
        "current_steps": steps,
        "fields": fields,
    }


def get_ticket_status(world: World, asked: Asked) -> JsonValue:
    """Return how a ticket stands."""
    ticket = _ticket(world, asked)
    return {"sn": ticket.sn, "current_status": _status(ticket), "is_commented": False}


def operate_node(world: World, asked: Asked) -> JsonValue:
    """Decide a ticket as one of its approvers."""
    ticket = _ticket(world, asked)
    asked.integer("state_id")
    asked.one_of("action_type", ("TRANSITION",))
    fields = {row.text("key"): row for row in asked.rows("fields")}
    if "opinion" not in fields:
        raise RefusedError("fields: opinion is required")
    decide(ticket, asked.text("operator"), is_yes=fields["opinion"].text("value") == "true")
    return None


def ticket_approval_result(world: World, asked: Asked) -> JsonValue:
    """Return how tickets were decided; one that is open has no result yet."""
    sns = asked.items("sn")
    found = [t for t in world.tickets.values() if t.sn in sns]
    return [{**told(world, ticket), "approve_result": bool(ticket.decided)} for ticket in found]


def operate_ticket(world: World, asked: Asked) -> JsonValue:
    """Withdraw a ticket; only who has made it may.

    Raises:
        RefusedError: it has ended, or somebody else has made it.
    """
    ticket = _ticket(world, asked)
    asked.one_of("action_type", ("WITHDRAW", "TERMINATE", "SUSPEND", "UNSUSPEND"))
    if ticket.decided is not None or asked.text("operator") != ticket.creator:
        raise RefusedError(f"ticket {ticket.sn} has ended, or is another person's")
    ticket.decided, ticket.decided_by = False, ticket.creator
    return None


def decide(ticket: Ticket, by: str, *, is_yes: bool) -> None:
    """Decide a ticket.

    Raises:
        RefusedError: it is decided already, or `by` is not asked.
    """
    if ticket.decided is not None:
        raise RefusedError(f"ticket {ticket.sn} has ended")
    if by not in ticket.approvers:
        raise RefusedError(f"{by!r} is no approver of {ticket.sn}: {', '.join(ticket.approvers)}")
    ticket.decided, ticket.decided_by = is_yes, by


def told(world: World, ticket: Ticket) -> Json:
    """Return the body of a ticket's callback."""
    at = datetime.fromtimestamp(world.clock(), UTC)
    return {
        "sn": ticket.sn,
        "title": ticket.title,
        "ticket_url": f"{world.url}/itsm/ticket/{ticket.sn}",
        "current_status": _status(ticket),
        "updated_by": ticket.decided_by,
        "update_at": at.strftime(_TIME),
        "approve_result": ticket.decided,
        "last_approver": ticket.decided_by,
    }


def _ticket(world: World, asked: Asked) -> Ticket:
    ticket = world.tickets.get(asked.text("sn"))
    if ticket is None:
        raise RefusedError(f"单据不存在, there is no ticket {asked.text('sn')!r}")
    return ticket


def _status(ticket: Ticket) -> str:
    return "RUNNING" if ticket.decided is None else "FINISHED"


# --- alarm shields ----------------------------------------------------------------------------


def add_shield(world: World, asked: Asked) -> JsonValue:
    """Keep alarms of a scope or a strategy quiet for a time."""
    business = asked.integer("bk_biz_id")
    if business not in world.businesses:
        raise RefusedError(f"there is no business {business}")
    category = asked.one_of("category", ("scope", "strategy"))
    begin, end = _time(asked, "begin_time"), _time(asked, "end_time")
    if end <= begin:
        asked.refuse("end_time", "must be after begin_time")
    asked.part("cycle_config").integer("type")
    asked.flag("shield_notice")
    _dimensions(world, str(category), asked.part("dimension_config"))
    number = world.new_id()
    world.shields[number] = {**asked.fields, "id": number, "is_enabled": True}
    return {"id": number}


def disable_shield(world: World, asked: Asked) -> JsonValue:
    """Let alarms through again."""
    ids = asked.integers("id")
    if missing := [number for number in ids if number not in world.shields]:
        raise RefusedError(f"there are no shields {missing}")
    for number in ids:
        world.shields[number]["is_enabled"] = False
    return {"id": [*ids]}


def _dimensions(world: World, category: str, config: Asked) -> None:
    if category == "strategy":
        if not config.has("id"):
            config.refuse("id", "is required")
        return
    kind = config.one_of("scope_type", ("biz", "ip", "node", "instance"))
    if kind == "ip":
        target_hosts(world, Asked({"ip_list": config.items("target")}))
    if kind == "node":
        for row in config.rows("target"):
            row.text("bk_obj_id")
            row.integer("bk_inst_id")


def _time(asked: Asked, key: str) -> datetime:
    try:
        return datetime.strptime(asked.text(key), _TIME).replace(tzinfo=UTC)
    except ValueError:
        asked.refuse(key, "must be a time such as 2024-01-31 08:00:00")


# --- GSEKit -----------------------------------------------------------------------------------


def flush_process(world: World, asked: Asked) -> JsonValue:
    """Read a business's processes anew."""
    _known_business(world, asked)
    return {"updated": 0, "created": 0}


def create_job(world: World, asked: Asked) -> JsonValue:
    """Start work on processes or their files; it fails where an agent is lost."""
    _known_business(world, asked)
    asked.one_of("job_object", ("process", "configfile"))
    action = asked.text("job_action")
    scope = asked.part("expression_scope")
    scope.one_of("bk_set_env", _ENVIRONMENTS)
    for key in ("bk_set_name", "bk_module_name", "service_instance_name", "bk_process_name"):
        scope.text(key)
    scope.text("bk_process_id")
    is_lost = any(host.fault == "agent" for host in world.hosts.values())
    work = Work(world.new_id(), "gsekit", world.clock(), not is_lost, {"action": action})
    world.works[work.id] = work
    return {"job_id": work.id}


def job_status(world: World, asked: Asked) -> JsonValue:
    """Return how work stands."""
    _known_business(world, asked)
    work = work_of(world, asked.integer("job_id"), "gsekit")
    return {"job_info": {"id": work.id, "status": status_of(world, work), **work.details}}


def _known_business(world: World, asked: Asked) -> None:
    if asked.integer("bk_biz_id") not in world.businesses:
        raise RefusedError(f"there is no business {asked.integer('bk_biz_id')}")


def work_of(world: World, number: int, kind: str) -> Work:
    """Return work of a system.

    Raises:
        RefusedError: there is none of that number.
    """
    work = world.works.get(number)
    if work is None or work.kind != kind:
        raise RefusedError(f"there is no job {number}")
    return work


def status_of(world: World, work: Work) -> str:
    """Return pending, running, succeeded or failed."""
    age = world.clock() - work.started_at
    if age < world.pace.pending_s:
        return "pending"
    if age < world.pace.pending_s + world.pace.running_s:
        return "running"
    return "succeeded" if work.ends_well else "failed"


APIS: Final[Mapping[str, Handler]] = {
    "GET /cmsi/get_msg_type/": get_msg_type,
    "POST /cmsi/send_mail/": send_mail,
    "POST /cmsi/send_msg/": send_msg,
    "POST /cmsi/send_sms/": send_sms,
    "POST /cmsi/send_voice_msg/": send_voice_msg,
    "POST /cmsi/send_weixin/": send_weixin,
    "POST /itsm/create_ticket/": create_ticket,
    "GET /itsm/get_ticket_info/": get_ticket_info,
    "GET /itsm/get_ticket_status/": get_ticket_status,
    "POST /itsm/operate_node/": operate_node,
    "POST /itsm/operate_ticket/": operate_ticket,
    "POST /itsm/ticket_approval_result/": ticket_approval_result,
    "POST /monitor_v3/add_shield/": add_shield,
    "POST /monitor_v3/disable_shield/": disable_shield,
    "POST /gsekit/api/process/flush_process/": flush_process,
    "POST /gsekit/api/job/create_job/": create_job,
    "POST /gsekit/api/job/job_status/": job_status,
}
