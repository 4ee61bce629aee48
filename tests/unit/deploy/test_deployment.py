"""What is deployed, as far as can be judged without a cluster: image, compose, alerts, panels."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.monitoring import DASHBOARD, RULES, expressions
from tests.helpers.promql import asked
from workers.server import _DYNAMIC_CONFIG, SEARCH_ATTRIBUTES
from workers.settings import Settings
from workers.telemetry import METRICS

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
COMPOSE = ROOT / "deploy/compose/compose.yaml"


def compose_text() -> str:
    """The compose file as compose reads it, each variable at its default or a filler."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE.read_text("utf-8"))
    return re.sub(r"\$\{\w+:\?[^}]*\}", "filled", text)


def compose() -> dict[str, Any]:
    return yaml.safe_load(compose_text())


def test_the_dockerfile_has_no_finding_of_a_linter() -> None:
    beside = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    linter = beside or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed")

    found = subprocess.run([linter, str(DOCKERFILE)], capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (0, "")


def test_what_the_image_is_built_from_is_sent_to_the_builder() -> None:
    sent = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE))
    copied = {
        source.rstrip("/")
        for line in re.findall(
            r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE
        )
        for source in line.split()[:-1]
    }

    assert copied == sent
    assert all((ROOT / each).exists() for each in copied)


def test_the_image_has_the_extras_and_settings_that_there_are() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = DOCKERFILE.read_text("utf-8")
    [extras] = re.findall(r"^ARG EXTRAS=(\S+)", text, re.MULTILINE)
    set_there = {name.lower() for name in re.findall(r"STDOPS_(\w+)=", text)}

    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert set_there <= {*Settings.model_fields}
    assert "USER 10001" in text


def test_compose_takes_the_file() -> None:
    specification = pytest.importorskip(
        "compose_spec", reason="the package compose-spec is not installed"
    )

    options = specification.PyOptions()
    options.apply_merge = True
    made = options.from_yaml(compose_text())

    made.validate()
    assert {*compose()["services"]} >= {"postgresql", "temporal", "temporal-ui", "worker"}


def test_each_service_waits_for_what_it_needs() -> None:
    services = compose()["services"]

    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            if condition == "service_healthy":
                assert "healthcheck" in services[needed], (name, needed)
            assert condition != "service_started", (name, needed)


def test_compose_sets_settings_that_there_are_and_registers_every_attribute() -> None:
    found = compose()
    shared = found["services"]["worker"]["environment"]
    registered = found["services"]["temporal-namespace"]["command"][0]

    assert {n.removeprefix("STDOPS_").lower() for n in shared if n.startswith("STDOPS_")} <= {
        *Settings.model_fields
    }
    for name, kind in SEARCH_ATTRIBUTES.items():
        assert f"--name {name} --type {kind}" in registered


def test_every_variable_that_compose_asks_for_is_in_the_example() -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text("utf-8")))
    example = (COMPOSE.parent / "example.env").read_text("utf-8")

    assert wanted <= set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def test_the_server_gets_the_settings_by_which_few_shards_answer_soon() -> None:
    config = yaml.safe_load((COMPOSE.parent / "dynamicconfig/stdops.yaml").read_text("utf-8"))

    found = {name: rows[0]["value"] for name, rows in config.items()}
    parts = (each.partition("=") for each in _DYNAMIC_CONFIG if each.startswith("history."))
    wanted = {name: value for name, _, value in parts}
    assert found == {name: json.loads(value) for name, value in wanted.items()}


@pytest.mark.parametrize(("place", "expression"), [*expressions()])
def test_an_expression_parses_and_asks_for_something(place: str, expression: str) -> None:
    assert asked(expression), place


def test_every_alert_says_what_it_means_and_how_urgent_it_is() -> None:
    [group] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]

    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert len(rule["annotations"]["summary"]) < 60 < len(rule["annotations"]["description"])


def test_the_panels_of_the_dashboard_do_not_lie_over_one_another() -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()

    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_page_on_monitoring_names_every_metric_label_and_alert() -> None:
    page = (ROOT / "docs/monitoring.md").read_text("utf-8")

    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        assert f"| `{metric.name}` | {metric.kind} | {labels} |" in page
    for place, _ in expressions():
        kind, _, name = place.partition(" ")
        assert kind != "alert" or f"`{name}`" in page
