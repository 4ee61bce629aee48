"""How a worker reaches a BlueKing platform: addresses, credentials and limits."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from activities.shelf import ShelfError

STAGE: Final = "prod"


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
    `monitor_v3`, `cmsi`), instead of their place under `esb_url`."""
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
    log_patterns: str = ""
    """Further forms of variables in JOB's logs: a JSON list of `{"re": ..., "kv_sep": ...}`."""
    calls_per_second: float = Field(default=20, gt=0)
    """Most calls that one worker sends in a second; the rest wait."""
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
        if not self.esb_url:
            raise ShelfError(
                "SOP430",
                f"no address of BlueKing's {system!r} is set",
                where="setting blueking",
                fix=f"set blueking.esb_url, or blueking.entries.{system}, on the workers",
            )
        return f"{self.esb_url.rstrip('/')}/api/c/compapi/v2/{system}"

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
