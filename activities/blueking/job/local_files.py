"""`job_push_local_files`: push files that people have uploaded to bk-sops.

Source: plugins' reference, section 3.2; differs: stdops keeps no uploads and no table of them, so
the settings say where each file manager has them, and files of an unknown place fail the node.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json, as_object, as_rows
from activities.blueking.config import BlueKingSettings
from activities.blueking.form import Fields, Form, Written
from activities.blueking.job.batch import TRANSFER, start_batch, with_batch
from activities.blueking.job.files import FROM_FILE_SOURCE
from activities.blueking.job.instance import Reading
from activities.blueking.job.starting import run_job, with_looks
from activities.blueking.job.targets import Resolver, checked_target, rolling
from activities.blueking.scope import job_scope, scope_of
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

FROM_JOB: Final = 2
"""What JOB calls files that it keeps itself."""

_NO_MANAGER: Final = "File Manager configuration error, contact administrator please."
_UNSET: Final = "{} (set blueking.{} on the workers to what bk-sops has)"
_OTHER_KIND: Final = "can not do files push operation on different types files"
_NO_FILES: Final = "no file of the form was uploaded: upload it in bk-sops, or choose another"

Tags = list[Json]
"""Of each file what its manager knows it by."""


class FileSource:
    """The file source by which JOB reads the repository, created once by a worker."""

    def __init__(self) -> None:
        self._id: JsonValue = None
        self._lock = asyncio.Lock()

    async def id(self, bk: BlueKing) -> JsonValue:
        """Return its id.

        Raises:
            PluginError: JOB refuses to create it, most often because it is there already.
        """
        if bk.settings.file_source_id is not None:
            return bk.settings.file_source_id
        async with self._lock:
            if self._id is None:
                self._id = await _created(bk)
        return self._id


class Push(NamedTuple):
    """How files are pushed: where the job belongs, and where its files come from."""

    scope: Json
    sources: list[Json]


async def pushed(call: Call[Form], bk: BlueKing, business: int, records: Sequence[Json]) -> Push:
    """Return how the files of upload records are pushed.

    Raises:
        PluginError: the file manager is not set up, or none of the files was uploaded by it.
    """
    manager = bk.settings.file_manager
    if not manager:
        raise PluginError(_UNSET.format(_NO_MANAGER, "file_manager"))
    tags = [
        as_object(response.get("tag"))
        for response in map(_response, records)
        if response.get("result") is True
    ]
    if not tags:
        raise PluginError(_NO_FILES)
    if any(tag.get("type") != manager for tag in tags):
        raise PluginError(f"{_OTHER_KIND}, need {manager}")
    known = [as_object(tag.get("tags")) for tag in tags]
    if manager == "bk_repo":
        source = call.shelf.shared("blueking.file_source", FileSource)
        return await _of_repository(bk, source, known)
    return Push(job_scope(business), _MANAGERS[manager](bk.settings, known))


def _of_job(_: BlueKingSettings, tags: Tags) -> list[Json]:
    return [{"file_list": [tag.get("file_path") for tag in tags], "file_type": FROM_JOB}]


def _of_nfs(settings: BlueKingSettings, tags: Tags) -> list[Json]:
    root = _needed(settings.nfs_root, "nfs_root").rstrip("/")
    files = [f"{root}/{_path(tag)}" for tag in tags]
    return [_on_host(settings, _needed(settings.nfs_ip, "nfs_ip"), files)]


def _of_uploads(settings: BlueKingSettings, tags: Tags) -> list[Json]:
    ids = [str(tag.get("tag_id")) for tag in tags]
    if missing := [each for each in ids if each not in settings.uploads]:
        what = f"uploaded files {', '.join(missing)} are not known here"
        raise PluginError(_UNSET.format(what, "uploads"))
    found = [settings.uploads[each] for each in ids]
    return [
        _on_host(settings, each.source_ip, [f"{each.file_path}/{each.file_name}"]) for each in found
    ]


_MANAGERS: Final[Mapping[str, Callable[[BlueKingSettings, Tags], list[Json]]]] = {
    "job_repo": _of_job,
    "host_nfs": _of_nfs,
    "upload_module": _of_uploads,
}


async def _of_repository(bk: BlueKing, source: FileSource, tags: Tags) -> Push:
    """Return files of the artifact repository, which JOB reads in a business of its own."""
    settings = bk.settings
    project = _needed(settings.repo_project, "repo_project")
    bucket = _needed(settings.repo_bucket, "repo_bucket")
    if settings.file_business < 0:
        raise PluginError(_UNSET.format(_NO_MANAGER, "file_business"))
    files: list[JsonValue] = [f"{project}/{bucket}/{_path(tag)}" for tag in tags]
    entry: Json = {"file_list": files, "file_type": FROM_FILE_SOURCE}
    return Push(
        job_scope(settings.file_business), [{**entry, "file_source_id": await source.id(bk)}]
    )


async def _created(bk: BlueKing) -> JsonValue:
    """Let JOB create the credential and the file source; return the source's id."""
    settings = bk.settings
    where = job_scope(settings.file_business, "biz_set")
    url = _needed(settings.repo_url, "repo_url")
    credential: Json = {
        **where,
        "name": settings.credential_name,
        "type": "USERNAME_PASSWORD",
        "credential_username": _needed(settings.repo_user, "repo_user"),
        "credential_password": _needed(settings.repo_password.get_secret_value(), "repo_password"),
    }
    made = await bk.object("jobv3.create_credential", credential)
    source: Json = {
        **where,
        "code": settings.file_source_code,
        "alias": settings.file_source_alias,
        "type": "BLUEKING_ARTIFACTORY",
        "access_params": {"base_url": url},
        "credential_id": made.get("id"),
    }
    try:
        return (await bk.object("jobv3.create_file_source", source)).get("id")
    except PluginError as error:
        raise PluginError(_UNSET.format(error.what, "file_source_id")) from error


def _on_host(settings: BlueKingSettings, ip: str, files: Sequence[JsonValue]) -> Json:
    return {
        "file_list": [*files],
        "account": {"alias": settings.file_account},
        "server": {"ip_list": [{"bk_cloud_id": 0, "ip": ip}]},
    }


def _path(tag: Mapping[str, JsonValue]) -> str:
    """Return where a file lies below the root of its manager."""
    parts = (tag.get("shims"), tag.get("uid"), tag.get("name"))
    return "/".join(str(part) for part in parts if part)


def _needed(value: str, name: str) -> str:
    if not value:
        raise PluginError(_UNSET.format(_NO_MANAGER, name))
    return value


def _response(record: Json) -> Json:
    return as_object(record.get("response"))


async def _push_one(call: Call[Form]) -> Written:
    """Push uploaded files to hosts through JOB, by one job."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    push = await pushed(call, bk, scope.business, form.rows("job_local_files"))
    hosts, across = form.text("job_target_ip_list"), form.flag("job_across_biz")
    server = await checked_target(bk, scope, hosts, "strict", across=across)
    request: Json = {
        **push.scope,
        "account_alias": form.text("job_target_account"),
        "file_target_path": form.text("job_target_path"),
        "file_source_list": [*push.sources],
        "target_server": server,
    }
    return await run_job(bk, call, TRANSFER, request)


def _push_each(version: str, resolver: Resolver, *, is_rolling: bool) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Push uploaded files to hosts through JOB, a job for each row of the form."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        rows = form.part("job_local_files_info").rows("job_push_multi_local_files_table")
        pushes = [
            await pushed(call, bk, scope.business, as_rows(row.get("file_info"))) for row in rows
        ]
        across = resolver == "strict" and form.flag("job_across_biz")
        hosts = form.text("job_target_ip_list")
        server = await checked_target(bk, scope, hosts, resolver, across=across)
        timeout = form.number("job_timeout")
        rest: Json = {
            "account_alias": form.line("job_target_account"),
            "target_server": server,
            **({"timeout": timeout} if timeout else {}),
            **(rolling(form) if is_rolling else {}),
        }
        requests: list[Json] = [
            {
                **push.scope,
                "file_target_path": Fields(row).line("target_path"),
                "file_source_list": [*push.sources],
                **rest,
            }
            for row, push in zip(rows, pushes, strict=True)
        ]
        return await start_batch(bk, call, requests)

    return with_batch(served("job_push_local_files", version, run))


LOCAL_FILES: Final = (
    with_looks(
        served("job_push_local_files", "1.0.0", _push_one),
        lambda _form: Reading(variables=False, log=False),
    ),
    _push_each("2.0", "strict", is_rolling=False),
    _push_each("v2.1", "hybrid", is_rolling=True),
)
