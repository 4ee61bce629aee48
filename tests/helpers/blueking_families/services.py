"""The rows of messages, approvals, GSEKit, BK-BCS, BK-CI and BK-LOG.

Source of the requests: plugins' reference, sections 3.4, 3.7, 3.10, 4.5 and 4.6; of the last
three the public documents that their plugins name.
"""

from collections.abc import Sequence
from typing import Any, Final

from tests.helpers.blueking_families.rows import (
    CALLBACK,
    Arrange,
    Json,
    Like,
    Row,
    Sent,
    broken,
    get,
    no_callback,
    post,
)
from workers.fake_blueking import World
from workers.fake_blueking.faults import Fault

ME: Final = Like(r"r\d+")
"""The user for whom a row calls."""

# --- messages ---------------------------------------------------------------------------------

_BUSINESS: Final = post("/cc/search_business/", bk_supplier_account="0", condition={"bk_biz_id": 2})
_NOTICE: Final[Json] = {"bk_notify_title": "Release", "bk_notify_content": "done"}
_OLD_TO: Final = "admin,sun,wang"
_LEGACY: Final = Row(
    "bk_notify",
    "legacy",
    {
        **_NOTICE,
        "bk_notify_type": ["weixin", "email", "sms"],
        "bk_receiver_info": {"bk_receiver_group": ["Maintainers"], "bk_more_receiver": "sun,admin"},
    },
    (
        _BUSINESS,
        post(
            "/cmsi/send_weixin/",
            receiver__username=_OLD_TO,
            data={"heading": "Release", "message": "done"},
        ),
        post(
            "/cmsi/send_mail/",
            receiver__username=_OLD_TO,
            title="Release",
            content="<pre>done</pre>",
        ),
        post("/cmsi/send_sms/", receiver__username=_OLD_TO, content="Release\ndone"),
    ),
    {"code": 0, "message": "success"},
    main="cmsi.send_weixin",
)
_TO: Final = Like(r"r\d+,admin,wang,sun,dora|r\d+,admin,sun,wang,dora")


def _message(channel: str, content: str = "done") -> Sent:
    return post(
        "/cmsi/send_msg/",
        msg_type=channel,
        receiver__username=_TO,
        title="Release",
        content=content,
    )


_NEWER: Final = Row(
    "bk_notify",
    "v1.0",
    {
        **_NOTICE,
        "notify": True,
        "bk_notify_type": ["mail", "weixin", "voice"],
        "bk_receiver_info": {
            "bk_receiver_group": ["Maintainers"],
            "bk_more_receiver": "sun",
            "bk_staff_group": ["7"],
        },
    },
    (
        _BUSINESS,
        _message("mail", "<pre>done</pre>"),
        _message("weixin"),
        post("/cmsi/send_voice_msg/", receiver__username=_TO, auto_read_message="Release,done"),
    ),
    {},
    unordered=True,
)

NOTICES: Final = (
    _LEGACY,
    _LEGACY._replace(
        inputs={**_LEGACY.inputs, "bk_notify_type": ["sms", "voice"]},
        sent=(_BUSINESS,),
        outputs={},
        path="failure",
        error="bk_notify_type has 'voice', which is no channel",
    ),
    _NEWER,
    _NEWER._replace(
        inputs={**_NEWER.inputs, "bk_notify_type": ["mail", "fax"]},
        sent=(_BUSINESS, _message("mail", "<pre>done</pre>"), _message("fax")),
        outputs={"sent": ["mail"]},
        path="failure",
        error="(sent already: mail)",
    ),
    _NEWER._replace(
        inputs={**_NEWER.inputs, "bk_notify_type": ["weixin"]},
        sent=(_BUSINESS, _message("weixin")),
        main="cmsi.send_msg",
        note="one_channel",
    ),
)

# --- WeCom ------------------------------------------------------------------------------------


def chat(version: str, name: str) -> str:
    """Return the id of a chat that one row alone writes to, by which its requests are known."""
    return f"{version.replace('.', '_')}_{name}".ljust(32, "0")


def _gone(name: str) -> Arrange:
    return lambda world: world.gone_chats.add(name)


def _hook(version: str, name: str, kind: str) -> Sent:
    where = {"chatid": chat(version, name), "msgtype": kind}
    if kind == "text":
        text = {"content": "deployed", "mentioned_list": ["li", "wang"]}
        return post("/wecom/send?key=hush", where, text=text)
    shown = {"content": "deployed\n<@li> <@wang>\n"}
    return post("/wecom/send?key=hush", where, {kind: shown}, at_short_name=True)


def _wecom(version: str, kind: str) -> list[Row]:
    def row(name: str, **more: Any) -> Row:
        inputs = {
            "wechat_work_chat_id": chat(version, name),
            "message_content": "deployed",
            "wechat_work_mentioned_members": "li,wang",
            "msgtype": kind,
        }
        sent = (_hook(version, name, kind),)
        return Row("wechat_work_send_message", version, inputs, sent, {})._replace(**more)

    gone = _gone(chat(version, "gone"))
    return [
        row("here"),
        row("gone", path="failure", error="企业微信发送消息请求失败，状态码: 200", arrange=(gone,)),
    ]


WECOM: Final = (
    *_wecom("1.0", "text"),
    *_wecom("1.1", "markdown_v2"),
    *_wecom("2.0", "markdown"),
    *_wecom("2.1", "markdown_v2"),
    Row(
        "wechat_work_send_message",
        "1.0",
        {"wechat_work_chat_id": "short", "message_content": "x", "msgtype": "text"},
        (),
        {},
        path="failure",
        error="第1行的会话 ID 格式不正确（长度需为 32）",
        note="short_id",
    ),
)

# --- approvals --------------------------------------------------------------------------------

_SN: Final = Like(r"REQ\d+")


def _decides(*, yes: bool) -> Arrange:
    def arrange(world: World) -> None:
        world.pace.approval_s, world.pace.approves = 1.5, yes

    return arrange


_LOOK: Final = post("/itsm/ticket_approval_result/", sn=[_SN])
_APPROVAL: Final = Row(
    "bk_approve",
    "v1.0",
    {
        "bk_verifier": "wang, li",
        "bk_approve_title": "Release",
        "bk_approve_content": "web 2.4.0",
    },
    (
        post(
            "/itsm/create_ticket/",
            creator=ME,
            fields=[
                {"key": "title", "value": "Release"},
                {"key": "APPROVER", "value": "wang,li"},
                {"key": "APPROVAL_CONTENT", "value": "web 2.4.0"},
            ],
            fast_approval=True,
            meta={"callback_url": CALLBACK},
        ),
    ),
    {"sn": _SN, "approve_result": "通过"},
    main="itsm.create_ticket",
    path="callback",
    arrange=(_decides(yes=True),),
)
_POLLED: Final = _APPROVAL._replace(
    path="poll", sent=(*_APPROVAL.sent, _LOOK), faults=no_callback("callback.itsm")
)
_NO: Final[Json] = {
    "outputs": {"sn": _SN, "approve_result": "拒绝"},
    "arrange": (_decides(yes=False),),
}

APPROVALS: Final = (
    _APPROVAL,
    _POLLED,
    _APPROVAL._replace(path="failure", error="审批拒绝: ITSM REQ", **_NO),
    _POLLED._replace(path="failure", error="审批拒绝: ITSM REQ", note="poll", **_NO),
    _APPROVAL._replace(
        inputs={**_APPROVAL.inputs, "rejected_block": False},
        note="rejected_goes_on",
        main="",
        **_NO,
    ),
)

_FIRST: Final = 10001
"""The first id of a fresh world."""

# --- GSEKit -----------------------------------------------------------------------------------

_SCOPE: Final = {
    "gsekit_bk_env": "3",
    "gsekit_set": "East",
    "gsekit_module": "web",
    "gsekit_service_id": "*",
    "gsekit_process_name": "nginx",
    "gsekit_process_id": "*",
}


def _command(action: str, kind: str, **more: Any) -> Sent:
    scope = {
        "bk_set_env": "3",
        "bk_set_name": "East",
        "bk_module_name": "web",
        "service_instance_name": "*",
        "bk_process_name": "nginx",
        "bk_process_id": "*",
    }
    body = {"bk_biz_id": 2, "job_object": kind, "job_action": action, "expression_scope": scope}
    return post("/gsekit/api/job/create_job/", body, more)


_COMMAND: Final = Row(
    "gsekit_job_exec",
    "1.0",
    {**_SCOPE, "gsekit_job_action_choices": "restart"},
    (
        _command("restart", "process"),
        post("/gsekit/api/job/job_status/", bk_biz_id=2, job_id=_FIRST),
    ),
    {
        "gsekit_task_id": _FIRST,
        "gsekit_task_page_url": f"{{bk}}/gsekit/task-history/detail/{_FIRST}?biz=2",
    },
    main="gsekit.api/job/create_job",
    path="poll",
)

GSEKIT: Final = (
    Row(
        "gsekit_flush_process",
        "1.0",
        {},
        (post("/gsekit/api/process/flush_process/", bk_biz_id=2),),
        {},
        main="gsekit.api/process/flush_process",
        repeats=True,
    ),
    _COMMAND,
    _COMMAND._replace(
        inputs={
            **_SCOPE,
            "gsekit_job_action_choices": "release",
            "gsekit_config_template": [1, 2],
        },
        sent=(
            _command("release", "configfile", extra_data={"config_template_ids": [1, 2]}),
            _COMMAND.sent[1],
        ),
        note="files",
        main="",
    ),
    _COMMAND._replace(
        path="failure",
        error="Gsekit任务执行异常, 任务状态为 failed",
        arrange=(broken("10.0.1.1"),),
    ),
)

# --- BK-BCS -----------------------------------------------------------------------------------

_RELEASE: Final = (
    "/gateway/bcs-api-gateway/prod/helmmanager/v1/projects/demo/clusters/BCS-K8S-00000"
    "/namespaces/shop/releases/web"
)


def _upgrade(version: str) -> Row:
    body = {
        "repository": "demo",
        "chart": "web",
        "version": version,
        "values": ["replicas: 2"],
        "args": ["--timeout=600s"],
    }
    place = {
        "project_code": "demo",
        "cluster_id": "BCS-K8S-00000",
        "namespace": "shop",
        "release": "web",
    }
    return Row(
        "bk_bcs_helm_upgrade",
        "v1.0",
        {**place, **body},
        (get(_RELEASE), Sent("PUT", _RELEASE, body), get(_RELEASE)),
        {"revision": 2, "status": "deployed"},
        path="poll",
    )


RELEASES: Final = (
    _upgrade("2.0.0"),
    _upgrade("0.0.0")._replace(
        path="failure",
        outputs={"revision": 1, "status": "failed-upgrade"},
        error="release web has ended as failed-upgrade: no such chart version",
    ),
    _upgrade("2.0.0")._replace(
        inputs={**_upgrade("2.0.0").inputs, "release": "other"},
        sent=(get(_RELEASE.replace("web", "other")),),
        outputs={},
        path="failure",
        error="release: 'other' not found in namespace 'shop'",
        note="no_such",
    ),
    _upgrade("2.0.0")._replace(
        path="lost",
        sent=_upgrade("2.0.0").sent[:2],
        outputs={},
        error="outcome unknown",
        faults=(Fault("bcs-api-gateway.upgrade_release", "lost", times=1),),
        arrange=(),
        note="upgrade",
    ),
)

# --- BK-CI and BK-LOG -------------------------------------------------------------------------

_BUILDS: Final = "/gateway/devops/prod/v4/apigw-app/projects/shop"


def _build(result: str, status: str) -> Row:
    variables = {"version": "1", "result": result}
    return Row(
        "bk_ci_build",
        "v1.0",
        {"project_id": "shop", "pipeline_id": "p-1", "variables": variables},
        (
            post(f"{_BUILDS}/build_start?pipelineId=p-1", variables),
            get(f"{_BUILDS}/build_status", pipelineId="p-1", buildId="b-10001"),
        ),
        {"build_id": "b-10001", "status": status},
        main="devops.build_start",
        path="poll",
    )


_SEARCH: Final = Row(
    "bk_log_search",
    "v1.0",
    {"indices": "2_bklog.web", "query_string": "500"},
    (
        post(
            "/bk_log/esquery_search/",
            indices="2_bklog.web",
            query_string="500",
            scenario_id="log",
            time_range="15m",
            time_field="dtEventTimeStamp",
            size=10,
            start=0,
            use_time_range=True,
        ),
    ),
    {"total": 1, "logs": [{"log": "GET /cart 500"}]},
    main="bk_log.esquery_search",
    repeats=True,
)

OTHERS: Final = (
    _build("good", "SUCCEED"),
    _build("failure", "FAILED")._replace(path="failure", error="build b-10001 has ended as FAILED"),
    _SEARCH,
    _SEARCH._replace(
        inputs={**_SEARCH.inputs, "indices": "none"},
        sent=(_SEARCH.sent[0]._replace(params={**_SEARCH.sent[0].params, "indices": "none"}),),
        outputs={},
        path="failure",
        error="there is no index 'none'",
    ),
)

ROWS: Final[Sequence[Row]] = (*NOTICES, *WECOM, *APPROVALS, *GSEKIT, *RELEASES, *OTHERS)
