"""The expressions of our alerts and of our dashboard, each with where it stands."""

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/stdops.rules.yaml"
DASHBOARD = ROOT / "deploy/grafana/stdops.json"


def expressions() -> Iterator[tuple[str, str]]:
    """Yield the name of an alert or panel, and one of its expressions."""
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]
