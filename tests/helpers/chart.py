"""Renders our chart: by Helm where it is installed, else by Go's own template engine."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/stdops"
RENDERER = ROOT / "tests/tools/chart/main.go"
RELEASE = {"Name": "ops", "Namespace": "apps", "Service": "Helm"}

Json = dict[str, Any]


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Json:
    """Return values with others laid over them, as Helm does: objects are merged."""
    found = dict(under)
    for key, value in over.items():
        below = found.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        found[key] = merged(cast("Json", below), cast("Json", value)) if both else value
    return found


def values() -> Json:
    """Return the chart's own values."""
    return yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))


def given(over: Mapping[str, Any]) -> str:
    """Return what the renderer is given: the chart, and values over its own."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    root = {
        "Values": merged(values(), over),
        "Release": RELEASE,
        "Chart": {"Name": chart["name"], "Version": chart["version"], "AppVersion": "0.1.0"},
    }
    texts = {p.name: p.read_text("utf-8") for p in (CHART / "templates").iterdir()}
    more = {f"files/{p.name}": p.read_text("utf-8") for p in (CHART / "files").iterdir()}
    return json.dumps({"templates": texts, "files": more, "root": root})


def render(over: Mapping[str, Any], binary: Path) -> subprocess.CompletedProcess[str]:
    """Render the chart with values over its own."""
    return subprocess.run(
        [str(binary)], input=given(over), capture_output=True, text=True, check=False, timeout=60
    )


def objects(rendered: str) -> list[Json]:
    """Return the Kubernetes objects of what was rendered."""
    texts = json.loads(rendered)
    documents = (
        document
        for name, text in sorted(texts.items())
        if name.endswith(".yaml")
        for document in yaml.safe_load_all(text)
    )
    return [document for document in documents if document]


@cache
def go() -> str | None:
    """Return the Go compiler, None where there is none."""
    return shutil.which("go")
