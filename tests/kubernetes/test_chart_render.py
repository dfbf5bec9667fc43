"""What the chart says without a cluster: the specification's tables, what is refused, and that both Helms agree.

They need the Helms of the testbed, and nothing of the cluster itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from testbed.start import need_tools
from tests.kubernetes.chart_kit import CHART, FIRST, HELMS, SERVICES, SLOTS
from tests.testbed.helpers import tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from testbed.cluster import Cluster

    Helm = Callable[..., CompletedProcess[str]]
    Objects = dict[tuple[str, str], Any]

pytestmark = pytest.mark.cluster

PORTS = {"backend": 8000, "gateway": 8080}
PROBES = {
    "backend": {"startupProbe": "/health", "readinessProbe": "/health", "livenessProbe": "/health"},
    "gateway": {"startupProbe": "/healthz", "readinessProbe": "/ready", "livenessProbe": "/healthz"},
}
INTERVALS = {"startupProbe": 3, "readinessProbe": 5, "livenessProbe": 10}


@pytest.fixture(params=HELMS)
def helm(cluster: Cluster, request: pytest.FixtureRequest) -> Helm:
    """Runs one of both Helms on the chart."""
    need_tools(cluster, list(HELMS), tell=tell)

    def run(command: str, *words: str) -> CompletedProcess[str]:
        named = ["alfred"] if command == "template" else []
        return cluster.run([cluster.places.tools / request.param, command, *named, str(CHART), *words])

    return run


def rendered(helm: Helm, *words: str) -> Objects:
    """All objects, by kind and name."""
    done = helm("template", "--namespace", "alfred", *FIRST, *words)
    assert done.returncode == 0, done.stderr
    items = [item for item in yaml.safe_load_all(done.stdout) if item]
    return {(item["kind"], item["metadata"]["name"]): item for item in items}


# --- the specification ------------------------------------------------------------------------------------------


def test_the_objects_are_those_of_the_specification(helm: Helm) -> None:
    found = rendered(helm)
    slots = {f"alfred-{name}-{slot}" for name in SERVICES for slot in SLOTS}
    assert {name for kind, name in found if kind == "Deployment"} == slots
    assert {name for kind, name in found if kind == "Service"} == {*slots, "alfred-backend", "alfred-gateway"}
    assert {name for kind, name in found if kind == "PodDisruptionBudget"} == {
        f"alfred-{name}-pdb" for name in SERVICES
    }
    assert {item["metadata"]["namespace"] for item in found.values()} == {"alfred"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_services_users_go_to_the_first_slot_and_its_budget_with_them(helm: Helm, name: str) -> None:
    for slot in SLOTS:
        found = rendered(helm, "--set", f"firstSlot={slot}")
        labels = {"app": f"alfred-{name}", "slot": slot}
        service = found["Service", f"alfred-{name}"]["spec"]
        assert service["selector"] == labels
        assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(PORTS[name], PORTS[name])]
        budget = found["PodDisruptionBudget", f"alfred-{name}-pdb"]["spec"]
        assert budget["minAvailable"] == {"backend": 1, "gateway": 2}[name]
        assert budget["selector"] == {"matchLabels": labels}
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize("name", SERVICES)
def test_a_slots_pods_are_as_the_specification_says(helm: Helm, name: str, slot: str) -> None:
    found = rendered(helm)
    deployment = found["Deployment", f"alfred-{name}-{slot}"]
    labels = {"app": f"alfred-{name}", "slot": slot}
    assert labels.items() <= deployment["metadata"]["labels"].items()
    assert found["Service", f"alfred-{name}-{slot}"]["spec"]["selector"] == labels
    assert (
        deployment["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"] == labels
    )
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["revisionHistoryLimit"] >= 5
    pods = deployment["spec"]["template"]["spec"]
    assert pods["terminationGracePeriodSeconds"] == 60
    (container,) = pods["containers"]
    assert container["name"] == name
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    for probe, path in PROBES[name].items():
        assert container[probe]["httpGet"]["path"] == path
        assert container[probe]["periodSeconds"] == INTERVALS[probe]
    assert container["startupProbe"]["failureThreshold"] == 30


@pytest.mark.parametrize("slot", SLOTS)
def test_a_slots_gateway_calls_the_backend_of_its_own_slot(helm: Helm, slot: str) -> None:
    (container,) = rendered(helm)["Deployment", f"alfred-gateway-{slot}"]["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables == {
        "SLOT": slot,
        "HOST": "0.0.0.0",
        "PORT": "8080",
        "BACKEND_URL": f"http://alfred-backend-{slot}:8000",
    }


@pytest.mark.parametrize("ownership", ["chart", "pipeline"])
def test_pods_may_do_no_more_than_they_need(helm: Helm, ownership: str) -> None:
    found = rendered(helm, "--set", f"ownership={ownership}")
    templates = [item["spec"]["template"] for (kind, _), item in found.items() if kind == "Deployment"]
    templates += [item["template"] for (kind, _), item in found.items() if kind == "PodTemplate"]
    assert len(templates) == {"chart": 4, "pipeline": 2}[ownership]
    for template in templates:
        pods, container = template["spec"], template["spec"]["containers"][0]
        assert pods["securityContext"]["runAsNonRoot"] is True
        assert pods["securityContext"]["runAsUser"] > 0
        assert pods["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pods["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_a_spare_gateway_lets_drains_go_on(helm: Helm) -> None:
    found = rendered(helm, "--set", "gateway.spareReplicas=1")
    assert found["Deployment", "alfred-gateway-blue"]["spec"]["replicas"] == 3
    assert found["PodDisruptionBudget", "alfred-gateway-pdb"]["spec"]["minAvailable"] == 2


def test_an_ingress_leads_to_the_users_service(helm: Helm) -> None:
    assert ("Ingress", "alfred") not in rendered(helm)
    words = ["ingress.enabled=true", "ingress.host=alfred.test", "ingress.tlsSecret=cert", "ingress.className=front"]
    spec = rendered(helm, *(word for each in words for word in ("--set", each)))["Ingress", "alfred"]["spec"]
    (path,) = spec["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "alfred-gateway", "port": {"number": 8080}}
    assert (spec["ingressClassName"], spec["tls"][0]) == ("front", {"secretName": "cert", "hosts": ["alfred.test"]})


@pytest.mark.parametrize("ownership", ["chart", "pipeline"])
def test_values_arrive_as_they_are_written(helm: Helm, tmp_path: Path, ownership: str) -> None:
    """Helm reads the numbers of a file as floating ones: 1.00066e+09 is no user, and 1.048576e+07 no size."""
    env = {"LARGEST": 10485760, "SHARE": 0.5, "TINY": 0.00001, "ON": True, "TEXT": "a: {b} # c", "DIGITS": "010"}
    path = "/health?of={all}, deep: yes"
    probe = {"path": path, "periodSeconds": 5, "failureThreshold": 3, "timeoutSeconds": 2}
    values = {
        "ownership": ownership,
        "runAsUser": 1_000_660_000,
        "backend": {"env": env, "probes": {"readiness": probe}},
        "ingress": {"enabled": True, "host": "*.example.com", "path": "/a#b"},
    }
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))
    found = rendered(helm, "--values", str(file))
    template = found.get(("PodTemplate", "alfred-backend"), {}).get("template")
    pods = (template or found["Deployment", "alfred-backend-blue"]["spec"]["template"])["spec"]
    variables = {each["name"]: each["value"] for each in pods["containers"][0]["env"]}

    assert variables.items() >= {
        ("LARGEST", "10485760"),
        ("SHARE", "0.5"),
        ("TINY", "0.00001"),
        ("ON", "true"),
        ("TEXT", "a: {b} # c"),
        ("DIGITS", "010"),
    }
    assert (pods["securityContext"]["runAsUser"], pods["securityContext"]["runAsGroup"]) == (1_000_660_000,) * 2
    assert pods["containers"][0]["readinessProbe"]["httpGet"]["path"] == path
    rule = found["Ingress", "alfred"]["spec"]["rules"][0]
    assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("*.example.com", "/a#b")


def test_helms_own_rollback_is_refused_unless_it_is_wanted(helm: Helm) -> None:
    name = ("ConfigMap", "helm-rollback-would-move-users--see-docs-helm.md")
    assert name in rendered(helm)
    assert name not in rendered(helm, "--set", "allowHelmRollback=true")
    assert name not in rendered(helm, "--set", "ownership=pipeline")


def test_what_serves_can_outlive_the_release_of_helm(helm: Helm) -> None:
    found = rendered(helm, "--set", "keepOnUninstall=true", "--set", "ingress.enabled=true")
    kept = {
        kind
        for (kind, _), item in found.items()
        if (item["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") == "keep"
    }
    assert kept == {kind for kind, _ in found} - {"ConfigMap"}


def test_the_pipelines_own_is_not_in_the_chart(helm: Helm) -> None:
    found = rendered(helm, "--set", "ownership=pipeline")
    assert not [name for kind, name in found if kind == "Deployment"]
    for name in SERVICES:
        assert "selector" not in found["Service", f"alfred-{name}"]["spec"]
        assert found["PodDisruptionBudget", f"alfred-{name}-pdb"]["spec"] == {
            "unhealthyPodEvictionPolicy": "AlwaysAllow"
        }
        template = found["PodTemplate", f"alfred-{name}"]["template"]
        assert template["metadata"]["labels"] == {"app": f"alfred-{name}"}
        assert "__SLOT__" in json.dumps(template["spec"]["containers"][0]["env"])


# --- what is refused --------------------------------------------------------------------------------------------


def test_lint_has_nothing_to_say(helm: Helm) -> None:
    for words in ([], ["--set", "ownership=pipeline"], ["--set", "rbac.create=true", "--set", "ingress.enabled=true"]):
        done = helm("lint", "--strict", *FIRST, *words)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "backend.image=alfredai/backend",
            'backend.image is "alfredai/backend": give a repository with a tag or a digest',
        ),
        ("backend.image=a b:v1", 'backend.image is "a b:v1": give a repository with a tag or a digest'),
        ("backend.env.SLOT=blue", "backend.env sets SLOT, which is the chart's own; leave it out"),
        ("gateway.env.BACKEND_URL=x", "gateway.env sets BACKEND_URL, which is the chart's own; leave it out"),
        ("gateway.imag=a/b:v1", "at '/gateway': additional properties 'imag' not allowed"),
        ("backend.replicas=two", "at '/backend/replicas': got string, want integer"),
        ("backend.spareReplicas=1", "at '/backend': additional properties 'spareReplicas' not allowed"),
        ("backend.env.A-B=c", "at '/backend/env': additional properties 'A-B' not allowed"),
        (
            "gateway.probes.readiness.periodSeconds=0",
            "at '/gateway/probes/readiness/periodSeconds': minimum: got 0, want 1",
        ),
        ("ownership=mine", "at '/ownership': value must be one of 'chart', 'pipeline'"),
        ("firstSlot=red", "at '/firstSlot': value must be one of 'blue', 'green'"),
        ("runAsUser=0", "at '/runAsUser': minimum: got 0, want 1"),
        ("revisionHistoryLimit=2", "at '/revisionHistoryLimit': minimum: got 2, want 5"),
        ("gateway.service.type=ExternalName", "at '/gateway/service/type': value must be one of"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(helm: Helm, setting: str, message: str) -> None:
    done = helm("template", *FIRST, "--set", setting)
    assert done.returncode != 0
    assert len([line for line in done.stderr.splitlines() if message in line]) == 1
    assert "goroutine" not in done.stderr


def test_an_image_is_asked_for(helm: Helm) -> None:
    done = helm("template", *FIRST[:2])
    assert done.returncode != 0
    assert (
        "gateway.image is not set, and nothing runs whose image could be kept: add --set gateway.image=" in done.stderr
    )
