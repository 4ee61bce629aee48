"""What the doctor looks at on this machine: settings, store, disk, keys, plugins, sandbox."""

import asyncio
import hashlib
import shutil
from pathlib import Path
from typing import Final, Literal

from workers.doctor.findings import Check, Finding, failure, skipped, warning, well
from workers.settings import Settings

_MB: Final = 1_000_000
FULL_BYTES: Final = 100 * _MB
"""Below that much room a database and a log soon stop."""
SCARCE_BYTES: Final = 1000 * _MB

_STORE_WHY: Final = "templates, plans and callbacks are kept there; runs load their plan from it"
_KEYS_WHY: Final = "secrets that one worker seals must be opened by every other"
_DISK_WHY: Final = "a full disk stops the store, the log and the embedded server"


async def look_at_settings(settings: Settings) -> list[Finding]:
    """Say where the settings come from."""
    origins = {settings.origin_of(name) for name in Settings.model_fields} - {"default"}
    files = sorted(each for each in origins if each.endswith(".toml"))
    count = sum(settings.origin_of(name) != "default" for name in Settings.model_fields)
    return [well("settings", f"{count} are set, all others have defaults", ", ".join(files))]


async def look_at_store(settings: Settings) -> list[Finding]:
    """Look whether the store answers, is of our shape, and takes what is written."""
    from workers.store.engine import look

    shape = await asyncio.to_thread(look, settings.store_url)
    where = _without_password(settings.store_url)
    if shape.is_current:
        return [well("store", f"answers, can be written, shape {shape.found}", where)]
    if shape.found is None:
        what = "there is no store yet"
        fix = "`stdops import FILE` or the first worker makes it; else correct STDOPS_STORE_URL"
        return [warning("store", what, _STORE_WHY, fix, where)]
    if shape.found > shape.newest:
        what = f"was written by a newer stdops (its shape is {shape.found}, ours {shape.newest})"
        fix = "upgrade stdops on this machine"
        return [failure("store", what, _STORE_WHY, fix, where)]
    what = f"has the older shape {shape.found}, ours is {shape.newest}"
    fix = "the next worker or command migrates it; see docs/releases.md for the order"
    return [warning("store", what, _STORE_WHY, fix, where)]


async def look_at_disk(settings: Settings) -> list[Finding]:
    """Look how much room the data folder has."""
    folder = _nearest(settings.data_dir)
    free = shutil.disk_usage(folder).free
    what, where = f"{free // _MB} MB free", str(folder)
    fix = "free some space, or set STDOPS_DATA_DIR to another disk"
    if free < FULL_BYTES:
        return [failure("disk", what, _DISK_WHY, fix, where)]
    if free < SCARCE_BYTES:
        return [warning("disk", what, _DISK_WHY, fix, where)]
    return [well("disk", what, where)]


async def look_at_keys(settings: Settings) -> list[Finding]:
    """Say which keys of secrets there are, by fingerprints that give nothing away."""
    from workers.secrets import KEY_FILE

    file = settings.data_dir / KEY_FILE
    given = bool(settings.secret_keys.get_secret_value().strip())
    if not given and not file.exists():
        fix = "`stdops secret seal` or the first secret makes it; set STDOPS_SECRET_KEYS instead"
        return [warning("keys", "there is no key of secrets yet", _KEYS_WHY, fix, str(file))]
    prints = ", ".join(fingerprints(settings))
    if not given and not settings.store_url.startswith("sqlite"):
        what = f"the key is this machine's own ({prints}), and the store is shared"
        fix = "set STDOPS_SECRET_KEYS to the same keys on every machine"
        return [warning("keys", what, _KEYS_WHY, fix, str(file))]
    told = f"{prints}; every worker and command line must show the same, in this order"
    return [well("keys", told, "STDOPS_SECRET_KEYS" if given else str(file))]


def fingerprints(settings: Settings) -> list[str]:
    """Return the fingerprint of each key, the one that seals first.

    Raises:
        SettingsError: the keys cannot be had (SOP513).
    """
    from workers.secrets import secret_keys

    derived = secret_keys(settings).derived(b"stdops doctor's fingerprint")
    return [hashlib.sha256(key).hexdigest()[:12] for key in derived]


async def look_at_codec(settings: Settings) -> list[Finding]:
    """Say by which keys payloads are encrypted on their way to Temporal."""
    from workers.codec import codec_of, describe_keys

    codec = codec_of(settings)
    if not codec.encrypts:
        return [skipped("codec", "payloads are not encrypted (STDOPS_CODEC_KEYS)")]
    same = "every worker and command line must show the same"
    return [well("codec", f"{describe_keys(codec)}; {same}")]


async def look_at_plugins(_settings: Settings) -> list[Finding]:
    """Look whether every plugin that is installed can be loaded."""
    from activities.registry import discover

    registry = await asyncio.to_thread(discover)
    why = "a node of a plugin that is not there fails"
    kinds: dict[str, Literal["failure", "warning"]] = {"error": "failure"}
    found = [
        Finding("plugins", kinds.get(each.severity, "warning"), each.what, why, each.fix)
        for each in registry.diagnostics
    ]
    return found or [well("plugins", f"{len(registry.codes())} loaded")]


async def look_at_sandbox(_settings: Settings) -> list[Finding]:
    """Evaluate one expression where those of templates are evaluated."""
    from activities.contract import Unresolved
    from activities.expressions import EvaluationError, Sandbox
    from translator.values import classify

    asked = Unresolved(values={"sum": classify("${1 + 1}")})
    why = "what stands in ${...} of templates is evaluated there"
    fix = "install stdops anew; its package pydantic-monty must fit this machine"
    try:
        async with Sandbox() as sandbox:
            answer = await sandbox.evaluate(asked)
    except (EvaluationError, OSError) as error:
        return [failure("sandbox", f"an expression cannot be evaluated: {error}", why, fix)]
    if str(answer.get("sum")) != "2":
        return [failure("sandbox", f"1 + 1 gave {answer.get('sum')!r}", why, fix)]
    return [well("sandbox", "evaluates expressions")]


async def look_at_traces(settings: Settings) -> list[Finding]:
    """Look whether traces can be sent, where the settings ask for them."""
    if not settings.traces:
        return [skipped("traces", "not asked for (STDOPS_TRACES)")]
    import workers.tracing  # raises what is missing

    return [well("traces", f"sent by {workers.tracing.__name__}, to where OTEL_* says")]


def _nearest(folder: Path) -> Path:
    return next(each for each in (folder, *folder.absolute().parents) if each.is_dir())


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string()


HERE: Final = (
    Check("settings", "they decide everything else", look_at_settings),
    Check("store", _STORE_WHY, look_at_store),
    Check("disk", _DISK_WHY, look_at_disk),
    Check("keys", _KEYS_WHY, look_at_keys),
    Check("codec", "what one process encrypts must be read by every other", look_at_codec),
    Check("plugins", "a node of a plugin that is not there fails", look_at_plugins),
    Check("sandbox", "what stands in ${...} of templates is evaluated there", look_at_sandbox),
    Check("traces", "they were asked for", look_at_traces),
)
"""The checks of this machine, in order."""
