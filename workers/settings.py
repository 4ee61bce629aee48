"""Settings: read once from the environment and an optional TOML file, then passed down.

`STDOPS_<NAME>` wins over the file, what a caller gives wins over both. The file is the one named by
`STDOPS_CONFIG`, else `stdops.toml` in the working directory. The connection to Temporal is not set
here but by Temporal's own convention: `temporal.toml` profiles and `TEMPORAL_*`.
"""

import difflib
import getpass
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, cast
from zoneinfo import available_timezones

from pydantic import Field, JsonValue, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError

from stdops import SettingsError

PREFIX: Final = "STDOPS_"
FILE_NAME: Final = "stdops.toml"
NOT_SETTINGS: Final = frozenset({"CONFIG", "SHARED", "TEST_POSTGRES"})
"""Variables with our prefix that are no settings: the file itself, the tests' material."""

BORROWED: Final = {
    "deployment_name": "TEMPORAL_DEPLOYMENT_NAME",
    "build_id": "TEMPORAL_WORKER_BUILD_ID",
}
"""Settings that also have a variable by the ecosystem's own convention."""

_DEFAULT: Final = "default"
_TOKEN_CHARS: Final = 16


def _data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "stdops"


def _store_url(known: Mapping[str, Any]) -> str:
    return f"sqlite:///{known['data_dir'] / 'store.db'}"


def _log_file(known: Mapping[str, Any]) -> Path:
    return known["data_dir"] / "worker.log"


def _operator() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's numeric user has no name
        return "unknown"


class Settings(BaseSettings):
    """Every setting; making one reads nothing, `load_settings` reads environment and file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    data_dir: Path = Field(default_factory=_data_dir)
    """Folder of the store, the embedded server's database and the logs; made when needed."""
    store_url: str = Field(default_factory=_store_url)
    """SQLAlchemy address of the store; SQLite in `data_dir` by default, PostgreSQL for several
    machines."""
    payload_store: str = ""
    """Where values go that are too large for Temporal's history: `file:///FOLDER`,
    `s3://BUCKET/PREFIX`, or `store` for the store's database; the same for all workers and clients.
    None means that they stay with Temporal, which takes up to 2 MB."""
    payload_store_from: int = Field(default=128 * 1024, ge=1024, le=1_500_000)
    """Size in bytes, after compression, from which a value goes to the payload store."""
    task_queue: str = Field(default="stdops", min_length=1)
    """Temporal task queue of runs, and of plugins that no pattern of `plugin_queues` routes."""
    plugin_queues: dict[str, str] = Field(default_factory=dict)
    """Task queue by plugin code; a key is a code or a pattern such as `job_*`, the first that
    matches wins. In the environment: a JSON object."""
    plugins: dict[str, dict[str, JsonValue]] = Field(default_factory=dict, repr=False)
    """Settings of the plugins: a table for each plugin or family of plugins, which their own pages
    describe. In the environment: a JSON object."""
    timezone: str = "Asia/Shanghai"
    """IANA name of the zone of times that have no offset."""
    project: dict[str, JsonValue] = Field(default_factory=dict)
    """What runs are told of their project, unless a run says otherwise: fields of `_system` such as
    `project_name` and `bk_biz_id`, and `env`, the project's constants. In the environment: a JSON
    object."""
    rerun_limit: int = Field(default=100, ge=1)
    """Times that a run may pass through one node before it fails it; ends endless loops."""
    in_flight: int = Field(default=200, ge=1, le=1500)
    """Activities of one run that execute at the same time; the rest wait in the run."""
    batch_tasks: int = Field(default=16, ge=1, le=100)
    """Tasks in a row whose plugins are quick that travel as one activity; 1 gives each its own."""
    batch_ms: int = Field(default=500, ge=0, le=10_000)
    """Milliseconds after which such an activity starts none of its tasks any more."""
    picture: Literal["svg", "text", "off"] = "svg"
    """How a run's page in the Web UI draws the flow: `svg`, `text` where a proxy or another version
    of the Web UI strips pictures, or `off`."""
    picture_bytes: int = Field(default=6000, ge=0)
    """Size limit of a run's page in the Web UI, bytes as they stand in an address; lower it behind
    a proxy that refuses long addresses, raise it to see more of a large flow."""
    strict: bool = False
    """Fail a node whose values hold a `${...}` that cannot be evaluated, unless the run says
    otherwise; off, it stays as it is written and the node carries a warning."""
    operator: str = Field(default_factory=_operator, min_length=1)
    """Who starts runs and gives verbs, unless the command says otherwise."""
    secret_keys: SecretStr = SecretStr("")
    """Keys of secrets, base64 of 32 bytes each, with commas between: the first seals, all open.
    None means the key file in `data_dir`, which is made when it is needed."""
    codec_keys: SecretStr = SecretStr("")
    """Keys of the payload codec, base64 of 32 bytes each, with commas between: the first encrypts
    what travels to Temporal, all decrypt. None means the file `codec.key` in `data_dir` where there
    is one, else nothing is encrypted."""
    codec_endpoint: str = ""
    """Address at which people's browsers and the temporal command reach the codec server."""
    codec_host: str = "127.0.0.1"
    """Address on which `stdops codec-server` listens; another than this machine's own needs
    `codec_tokens`."""
    codec_port: int = Field(default=8235, ge=0, le=65535)
    """Port of `stdops codec-server`; 0 takes a free one."""
    codec_tokens: SecretStr = SecretStr("")
    """Tokens of which the codec server wants one as `Authorization: Bearer TOKEN`, with commas
    between, at least 16 characters each; none lets in everybody on this machine."""
    codec_namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Temporal namespaces that the codec server serves, none means all. In the environment: commas
    between."""
    codec_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Further addresses of Web UIs whose pages may ask the codec server, such as
    https://temporal.example.com; that of `ui_url` may always. In the environment: commas
    between."""
    temporal_profile: str | None = None
    """Profile of `temporal.toml`; none means the profile `default`."""
    ui_url: str = "http://localhost:8233"
    """Address of the Temporal Web UI, for links to runs."""
    server_port: int = Field(default=7233, ge=0, le=65535)
    """Port of the embedded server; 0 takes a free one."""
    ui_port: int = Field(default=8233, ge=0, le=65535)
    """Port of the embedded server's Web UI; 0 takes a free one."""
    http_allow: Annotated[tuple[str, ...], NoDecode] = ()
    """Where plugins may send requests although it is denied by default: networks such as
    10.0.0.0/8, addresses, hosts such as *.corp.example, each with a :port or without. In the
    environment: commas between."""
    http_deny: Annotated[tuple[str, ...], NoDecode] = ()
    """Where plugins may not send requests, as `http_allow`; `*` denies all that is not allowed. The
    worker's own machine, its link and its cloud's metadata are denied in any case."""
    callback_url: str = ""
    """Public address below which the outside reaches the receiver of callbacks, such as
    https://ops.example.com/stdops; none means that plugins cannot be called back by HTTP."""
    callback_ttl_s: int = Field(default=30 * 24 * 3600, ge=60)
    """Seconds for which an address that was handed out for a callback counts."""
    callback_bytes: int = Field(default=1024 * 1024, ge=1, le=1_500_000)
    """Largest body of a callback, in bytes."""
    receiver_host: str = "127.0.0.1"
    """Address on which the receiver of callbacks listens; 0.0.0.0 for all of this machine."""
    receiver_port: int = Field(default=0, ge=0, le=65535)
    """Port of the receiver of callbacks within `stdops worker` and `stdops dev`; 0 has none."""
    max_concurrent_activities: int = Field(default=200, ge=1)
    """Activities that one worker executes at the same time, over all runs."""
    graceful_shutdown_s: int = Field(default=20, ge=0)
    """Seconds that a stopping worker gives its activities to end."""
    deployment_name: str = ""
    """Name of the worker deployment, for Temporal's worker versioning; none means unversioned
    workers. TEMPORAL_DEPLOYMENT_NAME sets it too."""
    build_id: str = ""
    """Version of the worker within its deployment, stdops' own by default; name it anew whenever
    code changes, your plugins' too. TEMPORAL_WORKER_BUILD_ID sets it too."""
    versioning: Literal["auto_upgrade", "pinned"] = "auto_upgrade"
    """What the runs of a versioned worker do at a release: `auto_upgrade` go on with the version
    that is current, `pinned` end on the one that they began on."""
    sandboxed: bool = False
    """Run workflow code in the SDK's sandbox, which loads the driver anew for each run and stops at
    a call that a replay could not repeat; a help to who changes that code, at twice the cost."""
    metrics_address: str = ""
    """Address on which a worker or receiver offers metrics to Prometheus at /metrics, HOST:PORT
    such as 0.0.0.0:9464; none offers none."""
    health_address: str = ""
    """Address on which a worker or receiver says at /healthz and /readyz whether it lives and
    whether it can work, HOST:PORT; none says nothing."""
    count_runs_s: int = Field(default=30, ge=5)
    """Seconds between two counts of the runs by state, for the metrics."""
    traces: bool = False
    """Send traces of runs, their nodes and the HTTP calls of these, by OpenTelemetry; where to, its
    own variables say, such as OTEL_EXPORTER_OTLP_ENDPOINT. Needs the extra `otel`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is logged."""
    log_json: bool = False
    """Log JSON, one object a line, instead of text for people."""
    log_file: Path = Field(default_factory=_log_file)
    """File in which workers keep their log as JSON lines, for `stdops logs`; in `data_dir` by
    default."""
    log_file_mb: int = Field(default=20, ge=0)
    """Size of a log file in MB, of which six are kept at most; 0 keeps none."""

    _origins: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name in available_timezones():
            return name
        near = difflib.get_close_matches(name, sorted(available_timezones()), n=1, cutoff=0.5)
        raise ValueError(f"unknown time zone{_did_you_mean(near)}")

    @field_validator("secret_keys", "codec_keys")
    @classmethod
    def _sound_keys(cls, keys: SecretStr) -> SecretStr:
        if text := keys.get_secret_value().strip():
            from activities.expressions.secrets import read_keys

            if not read_keys(text):
                raise ValueError("there is no key in it")
        return keys

    @field_validator("payload_store")
    @classmethod
    def _sound_place(cls, text: str) -> str:
        if text:
            from workers.payload_address import read_address

            read_address(text)
        return text

    @field_validator("codec_tokens")
    @classmethod
    def _long_tokens(cls, tokens: SecretStr) -> SecretStr:
        given = [one.strip() for one in tokens.get_secret_value().split(",") if one.strip()]
        if any(len(one) < _TOKEN_CHARS for one in given):
            raise ValueError(f"a token has less than {_TOKEN_CHARS} characters")
        return tokens

    @field_validator("http_allow", "http_deny", "codec_namespaces", "codec_origins", mode="before")
    @classmethod
    def _split(cls, rules: Any) -> Any:  # Any: what is given enters here
        return (
            [r for r in map(str.strip, rules.split(",")) if r] if isinstance(rules, str) else rules
        )

    @field_validator("http_allow", "http_deny")
    @classmethod
    def _sound_rules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        if rules:
            from activities.http_client.destinations import read_rule

            for rule in rules:
                read_rule(rule)
        return rules

    @field_validator("callback_url")
    @classmethod
    def _sound_address(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
            raise ValueError("write it as https://HOST or https://HOST/PATH")
        return url.rstrip("/")

    @field_validator("metrics_address", "health_address")
    @classmethod
    def _sound_listener(cls, address: str) -> str:
        if address:
            read_listener(address)
        return address

    @field_validator("deployment_name")
    @classmethod
    def _sound_deployment(cls, name: str) -> str:
        if "." in name or ":" in name:
            raise ValueError("Temporal takes neither '.' nor ':' in a deployment's name")
        return name

    @field_validator("project")
    @classmethod
    def _sound_project(cls, project: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if project:
            from workflows.system import project_problems

            if problems := project_problems(project):
                raise ValueError("; ".join(problems))
        return project

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the base class names it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the reading to `load_settings`, which must know where each value came from."""
        return (init_settings,)

    def with_origins(self, origins: Mapping[str, str]) -> Self:
        """Remember where each value came from, and return self."""
        self._origins.update(origins)
        return self

    def origin_of(self, name: str) -> str:
        """Return where the value of `name` came from: a variable, a file, `given` or `default`."""
        return self._origins.get(name, "given" if name in self.model_fields_set else _DEFAULT)

    def queue_of(self, code: str) -> str:
        """Return the task queue of the plugin `code`; "" means the queue of the run itself."""
        from fnmatch import fnmatchcase

        queues = self.plugin_queues
        return next((queue for glob, queue in queues.items() if fnmatchcase(code, glob)), "")

    @property
    def own_callback_url(self) -> str:
        """Where callbacks come in when the outside is this machine too; "" where nowhere."""
        here = f"http://localhost:{self.receiver_port}" if self.receiver_port else ""
        return self.callback_url or here

    @property
    def server_file(self) -> Path:
        """The embedded server's database."""
        return self.data_dir / "temporal.db"


def read_listener(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; an IPv6 host stands in brackets.

    Raises:
        ValueError: it is something else.
    """
    host, _, port = text.rpartition(":")
    plain = host.removeprefix("[").removesuffix("]")
    most_port = 65535
    is_sound = bool(plain) and (plain == host) == (":" not in plain)
    if not (is_sound and port.isdecimal() and int(port) <= most_port):
        raise ValueError("write it as HOST:PORT, such as 0.0.0.0:9464 or [::1]:9464")
    return plain, int(port)


class Setting(NamedTuple):
    """One effective setting, for people; `value` shows no password."""

    name: str
    value: str
    origin: str
    meaning: str


def describe(settings: Settings) -> list[Setting]:
    """Return every effective setting with its origin, in the order of their definition."""
    return [
        Setting(name, _shown(getattr(settings, name)), settings.origin_of(name), _meaning(name))
        for name in Settings.model_fields
    ]


def load_settings(**given: Any) -> Settings:
    """Read the settings; `given` (from the command line) wins over environment and file.

    A given value of None counts as not given.

    Raises:
        SettingsError: a setting is unknown (SOP510), wrong (SOP511), or the file cannot be read
            (SOP512).
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    stated = {name: value for name, value in given.items() if value is not None}
    layers = ((stated, "given"), (_environment(), "environment"), (_borrowed(), "borrowed"))
    for layer, origin in (*layers, _file()):
        _refuse_unknown(layer, origin)
        for name in layer.keys() - values.keys():
            values[name] = layer[name]
            origins[name] = _origin(name, origin)
    return _build(values, origins)


def _build(values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    try:
        return Settings(**values).with_origins(origins)
    except ValidationError as error:
        raise _wrong(error, origins) from None


def _environment() -> dict[str, Any]:
    """Return the settings in the environment, unknown ones too, by their lower-case name."""
    named = {key.upper()[len(PREFIX) :] for key in os.environ if key.upper().startswith(PREFIX)}
    unknown = named - NOT_SETTINGS - {name.upper() for name in Settings.model_fields}
    try:
        known = EnvSettingsSource(Settings)()
    except SourceError as error:
        raise SettingsError(
            "SOP511",
            f"a setting in the environment is not valid JSON: {error}",
            where="environment",
            fix='write an object, for example STDOPS_PLUGIN_QUEUES=\'{"job_*": "zone-b"}\'',
        ) from None
    return {**known, **{name.lower(): "" for name in sorted(unknown)}}


def _borrowed() -> dict[str, str]:
    """Return the settings that a variable of the ecosystem's own convention gives."""
    given = {name: os.environ.get(variable, "") for name, variable in BORROWED.items()}
    return {name: value for name, value in given.items() if value}


def _origin(name: str, layer: str) -> str:
    match layer:
        case "environment":
            return PREFIX + name.upper()
        case "borrowed":
            return BORROWED[name]
        case _:
            return layer


def _file() -> tuple[dict[str, Any], str]:
    """Return the settings in the file and its name; empty when no file is named or found."""
    named = os.environ.get(f"{PREFIX}CONFIG")
    file = Path(named) if named else Path(FILE_NAME)
    if not named and not file.is_file():
        return {}, str(file)
    try:
        return tomllib.loads(file.read_text("utf-8")), str(file)
    except tomllib.TOMLDecodeError as error:
        reason, fix = f"is not valid TOML: {error}", "mend the line that it names"
    except UnicodeDecodeError:
        reason, fix = "is not UTF-8 text", "save it as UTF-8"
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        fix = "create it, or point STDOPS_CONFIG at another file"
    raise SettingsError("SOP512", f"settings file {reason}", where=str(file), fix=fix)


def _refuse_unknown(layer: Mapping[str, Any], origin: str) -> None:
    for name in layer:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, n=1)
            environment = origin == "environment"
            shown = PREFIX + name.upper() if environment else name
            proposal = [PREFIX + match.upper() if environment else match for match in near]
            raise SettingsError(
                "SOP510",
                f"unknown setting {shown!r}{_did_you_mean(proposal)}",
                where=origin,
                fix="remove it or correct its name; `stdops doctor --settings` lists all",
            )


def _wrong(error: ValidationError, origins: Mapping[str, str]) -> SettingsError:
    """Turn the first finding into our error; the value itself is not shown, it may be secret."""
    finding = error.errors(include_url=False, include_input=False)[0]
    name = str(finding["loc"][0])
    others = error.error_count() - 1
    more = f" (and {others} more)" if others else ""
    reason = finding["msg"].removeprefix("Value error, ")
    return SettingsError(
        "SOP511",
        f"setting {name!r} is wrong: {reason[:1].lower()}{reason[1:]}{more}",
        where=origins.get(name, _DEFAULT),
        fix=f"it means: {_meaning(name)}",
    )


def _meaning(name: str) -> str:
    return " ".join((Settings.model_fields[name].description or "").split()).rstrip(".")


def _shown(value: object) -> str:
    """Return `value` as text, without the password of an address or the values of tables."""
    if isinstance(value, dict):  # of a plugin's table the names alone: a field may be a password
        tables = cast("dict[str, object]", value)
        value = {key: _fields(table) for key, table in tables.items()}
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", str(value))


def _fields(table: object) -> object:
    return sorted(cast("dict[str, object]", table)) if isinstance(table, dict) else table


def _did_you_mean(near: list[str]) -> str:
    return f"; did you mean {near[0]!r}?" if near else ""
