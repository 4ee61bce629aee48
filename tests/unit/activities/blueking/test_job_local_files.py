import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.job.local_files import LOCAL_FILES
from activities.contract import Done, Failed
from tests.helpers.job_platform import PAGE, SCOPE, TO_ONE, Json, Platform, begun, on_stage, refusal

PLUGINS = {plugin.ref.version: plugin for plugin in LOCAL_FILES}
ALL = tuple(PLUGINS)
BATCHES = ("2.0", "v2.1")
API = "jobv3.fast_transfer_file"
REPOSITORY: Json = {
    "file_manager": "bk_repo",
    "repo_url": "https://repo.test",
    "repo_project": "p",
    "repo_bucket": "b",
    "repo_user": "u",
    "repo_password": "hush",
    "file_business": 8,
}
UPLOADS: Json = {"7": {"source_ip": "10.1.1.1", "file_path": "/up/7", "file_name": "f.zip"}}


def record(kind: str, good: bool = True, **tags: JsonValue) -> Json:
    return {"name": "f", "response": {"result": good, "tag": {"type": kind, "tags": tags}}}


def form(*records: Json, **more: JsonValue) -> Json:
    row: Json = {"show_file": "f", "file_info": [*records], "target_path": "/t ", "md5": "x"}
    known: Json = {
        "biz_cc_id": 2,
        "job_local_files": [*records],
        "job_local_files_info": {"job_push_multi_local_files_table": [row]},
        "job_target_ip_list": "10.0.0.1",
        "job_target_account": "root",
        "job_target_path": "/t",
    }
    return known | more


OF_JOB = record("job_repo", file_path="2/x/f.zip", name="f.zip")


@pytest.mark.parametrize("version", ALL)
async def test_uploaded_files_are_pushed_field_by_field(version: str) -> None:
    platform = Platform()
    lost = record("job_repo", good=False, file_path="never")
    async with on_stage(platform, file_manager="job_repo") as stage:
        end = await stage.run(PLUGINS[version], form(OF_JOB, lost))
    sent = platform.params_of(API)[0]
    assert (sent.pop("callback_url", None) is not None) == (version == "1.0.0")
    assert sent == {
        **SCOPE,
        "account_alias": "root",
        "file_target_path": "/t",
        "file_source_list": [{"file_list": ["2/x/f.zip"], "file_type": 2}],
        "target_server": TO_ONE,
    }
    assert isinstance(end, Done), end
    if version == "1.0.0":
        assert end.outputs["job_inst_url"] == PAGE.format(777)
        assert "jobv3.get_job_instance_global_var_value" not in platform.names()
    else:
        assert end.outputs["job_inst_url"] == [PAGE.format(777)]
        assert end.outputs["success_count"] == 1


@pytest.mark.parametrize("version", BATCHES)
async def test_each_row_of_files_is_a_job_with_the_forms_time_limit(version: str) -> None:
    platform = Platform()
    row: Json = {"file_info": [OF_JOB], "target_path": "/u"}
    table: Json = {"job_push_multi_local_files_table": [row, {**row, "target_path": "/v"}]}
    given = form(job_local_files_info=table, job_timeout="60")
    async with on_stage(platform, file_manager="job_repo") as stage:
        await begun(stage, PLUGINS[version], given)
    sent = [(each["file_target_path"], each["timeout"]) for each in platform.params_of(API)]
    assert sent == [("/u", 60), ("/v", 60)]


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("shims", ["s", None])
async def test_files_on_a_shared_folder_come_from_their_host(
    version: str, shims: JsonValue
) -> None:
    platform = Platform()
    files = form(record("host_nfs", uid="u1", shims=shims, name="f.zip"))
    settings: Json = {"file_manager": "host_nfs", "nfs_ip": "10.1.1.1", "nfs_root": "/nfs/"}
    async with on_stage(platform, **settings) as stage:
        await begun(stage, PLUGINS[version], files)
    assert platform.params_of(API)[0]["file_source_list"] == [
        {
            "file_list": [f"/nfs/{'s/' if shims else ''}u1/f.zip"],
            "account": {"alias": "root"},
            "server": {"ip_list": [{"bk_cloud_id": 0, "ip": "10.1.1.1"}]},
        }
    ]


@pytest.mark.parametrize("version", ALL)
async def test_files_of_the_upload_module_come_from_where_the_settings_say(version: str) -> None:
    platform = Platform()
    settings: Json = {"file_manager": "upload_module", "uploads": UPLOADS, "file_account": "sys"}
    async with on_stage(platform, **settings) as stage:
        await begun(stage, PLUGINS[version], form(record("upload_module", tag_id=7)))
    assert platform.params_of(API)[0]["file_source_list"] == [
        {
            "file_list": ["/up/7/f.zip"],
            "account": {"alias": "sys"},
            "server": {"ip_list": [{"bk_cloud_id": 0, "ip": "10.1.1.1"}]},
        }
    ]


@pytest.mark.parametrize("version", ALL)
async def test_files_of_the_repository_come_from_a_file_source_that_is_created_once(
    version: str,
) -> None:
    platform = Platform(
        jobv3__create_credential={"id": "cred"}, jobv3__create_file_source={"id": 6}
    )
    files = form(record("bk_repo", uid="u1", shims="s", name="f.zip"))
    async with on_stage(platform, **REPOSITORY) as stage:
        await begun(stage, PLUGINS[version], files)
        await begun(stage, PLUGINS[version], files)
    where: Json = {"bk_scope_type": "biz_set", "bk_scope_id": "8", "bk_biz_id": 8}
    assert platform.params_of("jobv3.create_credential") == [
        {
            **where,
            "name": "SopsBKRepoCredential",
            "type": "USERNAME_PASSWORD",
            "credential_username": "u",
            "credential_password": "hush",
        }
    ]
    assert platform.params_of("jobv3.create_file_source") == [
        {
            **where,
            "code": "SopsBKRepoFileSource",
            "alias": "标准运维蓝鲸制品库文件源",
            "type": "BLUEKING_ARTIFACTORY",
            "access_params": {"base_url": "https://repo.test"},
            "credential_id": "cred",
        }
    ]
    sent = platform.params_of(API)
    assert len(sent) == 2
    assert (sent[0]["bk_scope_type"], sent[0]["bk_scope_id"]) == ("biz", "8")
    assert sent[0]["file_source_list"] == [
        {"file_list": ["p/b/s/u1/f.zip"], "file_type": 3, "file_source_id": 6}
    ]


async def test_a_job_in_the_file_business_is_looked_at_there() -> None:
    platform = Platform()
    files = form(record("bk_repo", uid="u1", name="f.zip"))
    async with on_stage(platform, **REPOSITORY, file_source_id=5) as stage:
        end = await stage.run(PLUGINS["v2.1"], files)
    assert isinstance(end, Done), end
    assert platform.params_of("jobv3.get_job_instance_status")[0]["bk_scope_id"] == "8"
    assert "jobv3.create_credential" not in platform.names()


async def test_a_refused_credential_shows_no_password() -> None:
    platform = Platform(jobv3__create_credential=refusal("denied"))
    files = form(record("bk_repo", uid="u1", name="f.zip"))
    async with on_stage(platform, **REPOSITORY) as stage:
        end = await stage.run(PLUGINS["v2.1"], files)
    assert isinstance(end, Failed)
    assert "接口jobv3.create_credential返回失败, error=denied" in end.error
    assert "hush" not in end.error


async def test_a_file_source_that_is_there_already_is_to_be_set() -> None:
    platform = Platform(jobv3__create_file_source=refusal("code exists"))
    files = form(record("bk_repo", uid="u1", name="f.zip"))
    async with on_stage(platform, **REPOSITORY) as stage:
        end = await stage.run(PLUGINS["v2.1"], files)
    assert isinstance(end, Failed)
    assert "error=code exists" in end.error
    assert "set blueking.file_source_id on the workers" in end.error


@pytest.mark.parametrize("version", ALL)
async def test_without_a_file_manager_the_node_fails_before_any_call(version: str) -> None:
    platform = Platform()
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form(OF_JOB))
    assert isinstance(end, Failed)
    text = "File Manager configuration error, contact administrator please."
    assert end.error.startswith(text)
    assert "set blueking.file_manager" in end.error
    assert platform.names() == []


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"file_manager": "host_nfs", "nfs_ip": "10.1.1.1"}, "nfs_root"),
        ({"file_manager": "host_nfs", "nfs_root": "/n"}, "nfs_ip"),
        ({**REPOSITORY, "repo_project": ""}, "repo_project"),
        ({**REPOSITORY, "repo_bucket": ""}, "repo_bucket"),
        ({**REPOSITORY, "repo_url": ""}, "repo_url"),
        ({**REPOSITORY, "repo_user": ""}, "repo_user"),
        ({**REPOSITORY, "repo_password": ""}, "repo_password"),
        ({**REPOSITORY, "file_business": -1}, "file_business"),
        ({"file_manager": "upload_module"}, "uploads"),
    ],
)
async def test_a_file_manager_that_is_half_set_up_names_what_is_missing(
    settings: Json, missing: str
) -> None:
    platform = Platform()
    files = form(record(str(settings["file_manager"]), uid="u1", name="f", tag_id=7))
    async with on_stage(platform, **settings) as stage:
        end = await stage.run(PLUGINS["v2.1"], files)
    assert isinstance(end, Failed)
    assert f"set blueking.{missing} on the workers" in end.error
    assert platform.names() == []


async def test_files_of_another_manager_are_refused() -> None:
    async with on_stage(Platform(), file_manager="job_repo") as stage:
        end = await stage.run(PLUGINS["v2.1"], form(OF_JOB, record("bk_repo", uid="u")))
    assert isinstance(end, Failed)
    text = "can not do files push operation on different types files, need job_repo"
    assert end.error == text


async def test_a_form_without_an_uploaded_file_fails() -> None:
    async with on_stage(Platform(), file_manager="job_repo") as stage:
        end = await stage.run(PLUGINS["v2.1"], form(record("job_repo", good=False)))
    assert isinstance(end, Failed)
    assert end.error.startswith("no file of the form was uploaded")


@pytest.mark.parametrize("version", ALL)
async def test_hosts_that_are_not_there_are_told_in_the_words_of_bk_sops(version: str) -> None:
    platform = Platform()
    async with on_stage(platform, file_manager="job_repo") as stage:
        end = await stage.run(PLUGINS[version], form(OF_JOB, job_target_ip_list="10.0.0.77"))
    assert isinstance(end, Failed)
    assert end.error.startswith("ip查询失败，请检查ip配置是否正常: ")
    assert "10.0.0.77" in end.error
    assert API not in platform.names()


@pytest.mark.parametrize("version", ["1.0.0", "2.0"])
async def test_uploaded_files_go_across_businesses(version: str) -> None:
    platform = Platform()
    given = form(OF_JOB, job_across_biz=True, job_target_ip_list="3:10.9.9.9")
    async with on_stage(platform, file_manager="job_repo") as stage:
        await begun(stage, PLUGINS[version], given)
    found = platform.params_of(API)[0]["target_server"]
    assert found == {"ip_list": [{"ip": "10.9.9.9", "bk_cloud_id": "3"}]}


async def test_uploaded_files_roll_in_the_latest_version() -> None:
    platform = Platform()
    rolling: Json = {
        "job_rolling_execute": ["open"],
        "job_rolling_expression": "1",
        "job_rolling_mode": "1",
    }
    async with on_stage(platform, file_manager="job_repo") as stage:
        await begun(stage, PLUGINS["v2.1"], form(OF_JOB, job_rolling_config=rolling))
    assert platform.params_of(API)[0]["rolling_config"] == {"expression": "1", "mode": 1}


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("lost", [True, False])
async def test_a_push_of_uploaded_files_that_fails_says_how(version: str, lost: bool) -> None:
    reply = httpx.ReadTimeout("slow") if lost else refusal("full")
    async with on_stage(
        Platform(jobv3__fast_transfer_file=reply), file_manager="job_repo"
    ) as stage:
        end = await stage.run(PLUGINS[version], form(OF_JOB))
    assert isinstance(end, Failed)
    assert ("look at the executions of business 2 in JOB" if lost else "error=full") in end.error
