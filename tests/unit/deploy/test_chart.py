"""The Helm chart, rendered and looked at; where neither is at hand the reason is said."""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import chart
from workers.settings import Settings

SECRET = {"secret": {"secretKeys": "a2V5", "storeUrl": "postgresql://db/stdops"}}
FULL = chart.merged(
    SECRET,
    {
        "autoscaling": {"enabled": True},
        "imagePullSecrets": [{"name": "registry"}],
        "temporal": {"existingSecret": "temporal-tls"},
        "settings": {"http_allow": "10.0.0.0/8", "in_flight": 100},
        "extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4318"}],
        "worker": {"nodeSelector": {"zone": "b"}, "tolerations": [{"operator": "Exists"}]},
        "receiver": {
            "callbackUrl": "https://ops.example.com/stdops",
            "ingress": {
                "enabled": True,
                "host": "ops.example.com",
                "path": "/stdops",
                "className": "nginx",
                "tlsSecret": "ops-tls",
                "annotations": {"a/b": "c"},
            },
        },
        "metrics": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "rules": {"enabled": True, "labels": {"release": "prometheus"}},
        },
    },
)
KEDA = chart.merged(FULL, {"autoscaling": {"keda": {"enabled": True, "authenticationRef": "t"}}})
EVERY = {"least": SECRET, "full": FULL, "keda": KEDA}

Render = Callable[[Mapping[str, Any]], list[chart.Json]]


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = chart.go()
    if compiler is None:
        pytest.skip("there is no Go compiler to render the chart with")
    made = tmp_path_factory.mktemp("chart") / "render"
    subprocess.run([compiler, "build", "-o", str(made), str(chart.RENDERER)], check=True)
    return made


@pytest.fixture
def render(binary: Path) -> Render:
    def rendered(over: Mapping[str, Any]) -> list[chart.Json]:
        answer = chart.render(over, binary)
        assert answer.returncode == 0, answer.stderr
        return chart.objects(answer.stdout)

    return rendered


def named(found: list[chart.Json], kind: str, end: str = "") -> chart.Json:
    [one] = [o for o in found if o["kind"] == kind and o["metadata"]["name"].endswith(end)]
    return one


def container(of: chart.Json) -> chart.Json:
    [one] = of["spec"]["template"]["spec"]["containers"]
    return one


def test_every_value_that_a_template_takes_is_in_the_values() -> None:
    known = chart.values()
    texts = [p.read_text("utf-8") for p in (chart.CHART / "templates").iterdir()]
    taken = {m for text in texts for m in re.findall(r"\.Values\.([\w.]+)", text)}

    for path in sorted(taken - {"settings.task_queue"}):
        below: Any = known
        for step in path.split("."):
            assert step in below, path
            below = below[step]


@pytest.mark.parametrize("over", EVERY.values(), ids=EVERY)
def test_what_is_rendered_is_what_kubernetes_knows(over: chart.Json, render: Render) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason="the package kubernetes-validate is not installed"
    )

    found = [o for o in render(over) if "." not in o["apiVersion"].partition("/")[0]]
    found += [o for o in render(over) if o["apiVersion"].partition("/")[0].endswith("k8s.io")]

    assert {o["kind"] for o in found} >= {"Deployment", "Service", "Secret", "Job"}
    for each in found:
        validate.validate(each, "1.31", strict=True)


def test_a_missing_secret_is_said(binary: Path) -> None:
    answer = chart.render({}, binary)

    assert answer.returncode == 1
    assert "secret.secretKeys must be set" in answer.stderr


def test_every_variable_of_a_container_is_a_setting(render: Render) -> None:
    for deployment in (o for o in render(FULL) if o["kind"] in ("Deployment", "Job")):
        variables = [each["name"] for each in container(deployment)["env"]]
        ours = {name.removeprefix("STDOPS_").lower() for name in variables if "STDOPS_" in name}
        assert ours <= {*Settings.model_fields}
        assert len(variables) == len(set(variables))


def test_no_container_is_root_or_writes_beside_its_folders(render: Render) -> None:
    for each in (o for o in render(FULL) if o["kind"] in ("Deployment", "Job")):
        assert each["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"]
        assert container(each)["securityContext"]["readOnlyRootFilesystem"]
        mounts = {mount["mountPath"] for mount in container(each)["volumeMounts"]}
        assert mounts == {"/var/lib/stdops", "/tmp"}


def test_a_stop_is_never_a_kill(render: Render) -> None:
    pod = named(render(SECRET), "Deployment", "worker")["spec"]["template"]["spec"]
    [grace] = [e["value"] for e in pod["containers"][0]["env"] if "GRACEFUL" in e["name"]]

    assert pod["terminationGracePeriodSeconds"] > int(grace)


def test_the_pods_of_each_budget_service_and_scaler_are_there(render: Render) -> None:
    found = render(FULL)
    pods = [o["spec"]["template"]["metadata"]["labels"] for o in found if o["kind"] == "Deployment"]

    for each in found:
        if each["kind"] in ("PodDisruptionBudget", "Service"):
            selector = each["spec"]["selector"]
            wanted = selector.get("matchLabels", selector)
            assert any(wanted.items() <= labels.items() for labels in pods), each["metadata"]
    target = named(found, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"]
    assert target == named(found, "Deployment", "worker")["metadata"]["name"]


def test_a_number_of_replicas_is_left_to_the_scaler(render: Render) -> None:
    assert "replicas" in named(render(SECRET), "Deployment", "worker")["spec"]
    assert "replicas" not in named(render(FULL), "Deployment", "worker")["spec"]


def test_keda_looks_at_the_queue_that_the_workers_take(render: Render) -> None:
    runs = named(render(KEDA), "ScaledObject")["spec"]["triggers"][0]["metadata"]
    other = chart.merged(KEDA, {"worker": {"queue": "zone-b"}})
    plugins = named(render(other), "ScaledObject")["spec"]["triggers"][0]["metadata"]

    assert (runs["taskQueue"], runs["queueTypes"]) == ("stdops", "workflow,activity")
    assert (plugins["taskQueue"], plugins["queueTypes"]) == ("zone-b", "activity")


def test_the_rules_of_the_chart_are_those_of_the_deployment() -> None:
    ours = (chart.ROOT / "deploy/prometheus/stdops.rules.yaml").read_text("utf-8")
    lines = [line for line in ours.splitlines(keepends=True) if not line.startswith("#")]

    assert (chart.CHART / "files/rules.yaml").read_text("utf-8") == "".join(lines)
