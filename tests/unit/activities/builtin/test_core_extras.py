"""Heavy libraries come by extras: loaded when a call needs them, and missed with the cure."""

import subprocess
import sys

import pytest
from pydantic import JsonValue

from activities.builtin.file_transfer import file_transfer
from activities.builtin.kubernetes_job import kubernetes_job
from activities.builtin.ssh_command import ssh_command
from activities.contract import Failed
from activities.sdk import AnyPlugin
from activities.testing import Stage

HEAVY = ("asyncssh", "boto3", "kubernetes_asyncio", "sqlalchemy")
CLUSTERS: JsonValue = {"default": {"namespaces": ["ops"]}}
SETTINGS: dict[str, dict[str, JsonValue]] = {
    "kubernetes_job": {"clusters": CLUSTERS},
    "file_transfer": {"s3": {"main": {"buckets": ["b"]}}},
}


def test_loading_the_plugins_loads_no_heavy_library() -> None:
    code = (
        "import sys; from activities.registry import discover; discover(); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("which", "inputs", "library", "extra"),
    [
        (ssh_command, {"host": "h", "user": "u", "command": "c"}, "asyncssh", "ssh"),
        (kubernetes_job, {"image": "i", "namespace": "ops"}, "kubernetes_asyncio", "kubernetes"),
        (file_transfer, {"source": "s3://b/x", "target": "s3://b/y"}, "boto3", "s3"),
    ],
    ids=["ssh", "kubernetes", "s3"],
)
async def test_a_library_that_is_missing_is_told_with_its_extra(
    which: AnyPlugin,
    inputs: dict[str, JsonValue],
    library: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    async with Stage(settings=SETTINGS) as stage:
        outcome = await stage.call(which, inputs)

    assert isinstance(outcome, Failed)
    assert f"needs {library!r}, which is not installed" in outcome.error
    assert f"pip install 'stdops[{extra}]'" in outcome.error
