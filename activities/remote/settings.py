"""Where remote plugins are, and as whom they are called: the table `[plugins.remote_plugin]`."""

from typing import Annotated, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

TABLE: Final = "remote_plugin"

_ADDRESS: Final = r"^https?://[^\s?#@]+$"


class Service(BaseModel):
    """A service by its own address, and by another one for what needs a gateway."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=_ADDRESS)
    invoke_url: str = Field(default="", pattern=rf"^$|{_ADDRESS}")


class RemoteSettings(BaseModel):
    """The table `[plugins.remote_plugin]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    services: dict[str, Service] = Field(
        default_factory=dict,
        description="Services by plugin code: an address, or `url` and `invoke_url`, which stands "
        "before `/invoke/<version>` where that goes through a gateway",
    )
    app_code: str = Field(default="", description="Application as which plugins are called")
    app_secret: SecretStr = Field(default=SecretStr(""), description="Its secret")
    paas_url: str = Field(
        default="",
        pattern=rf"^$|{_ADDRESS}",
        description="Gateway of PaaS v3, which knows the plugins that `services` does not name",
    )
    gateway_url: str = Field(
        default="",
        pattern=rf"^$|{_ADDRESS}",
        description="Gateway of a plugin, with `{api_name}` where its name stands",
    )
    stage: str = Field(
        default="prod", pattern=r"^[\w-]+$", description="Stage of plugins and their gateways"
    )
    timeout_s: float = Field(
        default=60, gt=0, le=300, description="Seconds to wait for an answer; an invoke may take so"
    )
    cache_s: float = Field(
        default=60, ge=0, description="Seconds for which a worker remembers addresses and details"
    )
    unreachable_s: float = Field(
        default=1800,
        ge=0,
        description="Seconds without an answer after which a node that looks at its work fails",
    )
    fixed_interval_s: dict[str, Annotated[float, Field(ge=1)]] = Field(
        default_factory=dict,
        description="Seconds between two looks by plugin code, if always alike",
    )
    max_days: int = Field(default=0, ge=0, description="Days after which a node fails; 0 for none")
    log_url: str = Field(
        default="",
        description="Address of an execution's log, with `{plugin_code}` and `{trace_id}`",
    )

    @field_validator("services", mode="before")
    @classmethod
    def _plain_addresses(cls, services: Any) -> Any:  # Any: settings enter here
        if not isinstance(services, dict):
            return services
        named = cast("dict[str, Any]", services)
        return {k: {"url": v} if isinstance(v, str) else v for k, v in named.items()}

    def log_of(self, plugin_code: str, trace_id: str) -> str:
        """Return the address of an execution's log, "" where the settings name none."""
        filled = self.log_url.replace("{plugin_code}", plugin_code)
        return filled.replace("{trace_id}", trace_id)
