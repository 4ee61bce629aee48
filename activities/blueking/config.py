"""How a worker reaches a BlueKing platform: addresses, credentials and limits."""

import json
import re
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
)

from activities.shelf import ShelfError

STAGE: Final = "prod"


_WITHOUT_API: Final = frozenset({"nodeman", "gsekit"})
"""Systems whose own addresses hold the `/api` with which their paths under the ESB begin."""

_BEHIND_GATEWAY: Final = frozenset({"bcs-api-gateway", "devops"})
"""Systems that only the API gateway serves, under their own names."""

FileManager = Literal["", "job_repo", "bk_repo", "host_nfs", "upload_module"]


class LogPattern(BaseModel):
    """A further form of variables in JOB's logs: what `re` finds is split at `kv_sep`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    pattern: str = Field(alias="re")
    separator: str = Field(alias="kv_sep", min_length=1)

    @field_validator("pattern")
    @classmethod
    def _finds_one_text(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as wrong:
            raise ValueError(f"no regular expression: {wrong}") from None
        if groups > 1:
            raise ValueError("a regular expression with at most one group is wanted")
        return pattern


class Uploaded(BaseModel):
    """A file that bk-sops's upload module has taken, as its table of files has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_ip: str
    file_path: str
    file_name: str


def _from_text(value: Any) -> Any:  # Any: JSON enters here
    """A list may be written as JSON, as bk-sops's own setting is."""
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.strip() else ()


class BlueKingSettings(BaseModel):
    """One BlueKing platform. Everything has a default, so that nothing is needed until it is used.

    Addresses have no slash at their end. A credential never leaves the worker.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    esb_url: str = ""
    """Address of the component API (ESB), for example `https://paas.example.com`."""
    gateway_url: str = ""
    """Template of the API gateway's addresses, with `{api_name}` in it."""
    stage: str = STAGE
    """Stage of the gateway's APIs."""
    entries: dict[str, str] = Field(default_factory=dict)
    """Addresses of single systems (`cc`, `jobv3`, `itsm`, `nodeman`, `nodemgr`, `gsekit`,
    `monitor_v3`, `cmsi`), instead of their place under `esb_url`. `gse` is GSE 2.0 behind the
    gateway, stage included; without it the node manager tells which agents are online."""
    app_code: str = ""
    """The application that calls, `bk_app_code`."""
    app_secret: SecretStr = SecretStr("")
    """Its secret, `bk_app_secret`."""
    access_token: SecretStr = SecretStr("")
    """Token that speaks for a user; replaces the user's name in the credentials."""
    tenant: str = ""
    """Tenant that calls are made for, in header `X-Bk-Tenant-Id`."""
    test_environment: bool = False
    """Ask for the gateway's test environment, header `x-use-test-env`."""
    ipv6: bool = False
    """Hosts are named to JOB by their ids, so that IPv6 addresses work."""
    job_url: str = ""
    """Address of the JOB pages, for links to job instances."""
    nodeman_url: str = ""
    """Address of the node manager's pages, for links to its jobs."""
    nodemgr_url: str = ""
    """Address of the newer node manager's pages."""
    gsekit_url: str = ""
    """Address of the GSEKit pages."""
    log_patterns: Annotated[tuple[LogPattern, ...], BeforeValidator(_from_text)] = ()
    """Further forms of variables in JOB's logs: a list of `{"re": ..., "kv_sep": ...}`."""
    file_manager: FileManager = ""
    """Where bk-sops keeps the files that people upload: `job_repo`, `bk_repo`, `host_nfs` or
    `upload_module`; empty, `job_push_local_files` fails."""
    file_account: str = "root"
    """Account that reads the uploaded files on their host (`host_nfs`, `upload_module`)."""
    nfs_ip: str = ""
    """Address of the host on which the uploaded files lie (`host_nfs`)."""
    nfs_root: str = ""
    """Folder of the uploaded files on that host (`host_nfs`)."""
    uploads: dict[str, Uploaded] = Field(default_factory=dict)
    """Files of the upload module by their `tag_id`: `{source_ip, file_path, file_name}`."""
    repo_url: str = ""
    """Address of the artifact repository (`bk_repo`)."""
    repo_project: str = ""
    """Its project."""
    repo_bucket: str = ""
    """Its bucket."""
    repo_user: str = ""
    """User by which JOB reads it."""
    repo_password: SecretStr = SecretStr("")
    """That user's password."""
    file_business: int = -1
    """Business in which JOB keeps the repository's file source."""
    file_source_id: int | None = None
    """Id of that file source; without it JOB is asked once a worker to create one."""
    credential_name: str = "SopsBKRepoCredential"
    """Name of the credential that is created for it."""
    file_source_code: str = "SopsBKRepoFileSource"
    """Code of the file source that is created."""
    file_source_alias: str = "标准运维蓝鲸制品库文件源"
    """Name of the file source that is created."""
    staff_groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Members of bk-sops's own staff groups by the group's id."""
    wechat_work_hook: SecretStr = SecretStr("")
    """Address of the robot's web hook by which messages reach groups of WeCom."""
    nodeman_legacy_key: str = ""
    """Public key (PEM) of the old NodeMan, for `nodeman_create_task` in its oldest version."""
    nodemgr_proxy: dict[str, Any] = Field(default_factory=dict[str, Any])
    """What proxies get that the newer node manager installs, instead of its own defaults:
    `relay_callback_port`, `relay_download_port`, `proxy_tags`."""
    calls_per_second: float = Field(default=20, gt=0)
    """Most calls that one worker sends in a second, evenly apart; the rest wait."""
    at_once: int = Field(default=20, ge=1)
    """Most calls of one step of a plugin that are open at the same time."""
    timeout_s: float = Field(default=60, gt=0)
    """Limit of one call, in seconds."""

    def base_of(self, system: str) -> str:
        """Return the address under which the APIs of a system stand, without a slash at the end.

        Raises:
            ShelfError: no address is set (SOP430).
        """
        if entry := self.entries.get(system):
            return entry.rstrip("/")
        if system in _BEHIND_GATEWAY:
            return self.gateway_of(system)
        if not self.esb_url:
            raise ShelfError(
                "SOP430",
                f"no address of BlueKing's {system!r} is set",
                where="setting blueking",
                fix=f"set blueking.esb_url, or blueking.entries.{system}, on the workers",
            )
        return f"{self.esb_url.rstrip('/')}/api/c/compapi/v2/{system}"

    def url_of(self, system: str, path: str) -> str:
        """Return the address of an API by its path below the system's place under `esb_url`.

        Raises:
            ShelfError: no address is set (SOP430).
        """
        at_entry = system in _WITHOUT_API and system in self.entries
        return self.base_of(system) + (path.removeprefix("/api") if at_entry else path)

    def gateway_of(self, api_name: str) -> str:
        """Return the address of a gateway's API at the stage that is set.

        Raises:
            ShelfError: no address is set (SOP430).
        """
        if not self.gateway_url:
            raise ShelfError(
                "SOP430",
                f"no address of BlueKing's API gateway is set, which serves {api_name!r}",
                where="setting blueking",
                fix="set blueking.gateway_url, for example https://{api_name}.example.com",
            )
        return f"{self.gateway_url.replace('{api_name}', api_name).rstrip('/')}/{self.stage}"
