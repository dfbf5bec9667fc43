"""Every doom that can be made on a cluster, made: what is told of it, and how soon.

The times are printed, not asserted: what is asserted is the cause.
"""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING

import pytest
from testbed.faults import frozen
from tests.kubernetes.doom_kit import FOREIGN_IMAGE, FOREIGN_PROGRAM, IMAGE, Doom, Grounds, Told
from tests.testbed.helpers import eventually

from bluegreen.domain.health import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster as Testbed

pytestmark = pytest.mark.cluster

ABSENT = {"name": "nobody"}
MARKS = {"volumeMounts": [{"name": "marks", "mountPath": "/marks"}]}


def volume(**source: object) -> dict[str, object]:
    return {"volumes": [{"name": "marks", **source}]}


def from_key(**source: object) -> dict[str, object]:
    return {"env": [{"name": "KEY", "valueFrom": source}]}


def probe(path: str, *, failures: int = 3) -> dict[str, object]:
    return {"httpGet": {"path": path, "port": 8000}, "periodSeconds": 1, "failureThreshold": failures}


LIMITED = {"requests": {"memory": "16Mi"}, "limits": {"memory": "48Mi"}}
NEVER_PULLED = {"image": "docker.io/alfredai/doomed:never", "imagePullPolicy": "Never"}
INIT = {"name": "prepare", "image": "docker.io/alfredai/doomed:none"}

DOOMS = [
    Doom(
        name="image-not-found",
        reason=Reason.IMAGE_NOT_FOUND,
        at_once=True,
        container={"image": "docker.io/alfredai/none:v1"},
    ),
    Doom(name="invalid-name", reason=Reason.IMAGE_NAME, at_once=True, container={"image": "docker.io/Alfred/UPPER:v1"}),
    Doom(name="never-pulled", reason=Reason.IMAGE_NOT_ON_NODE, at_once=True, container=NEVER_PULLED),
    Doom(name="init-image", reason=Reason.IMAGE_NOT_FOUND, at_once=True, spec={"initContainers": [INIT]}),
    Doom(name="foreign-image", reason=Reason.WRONG_ARCHITECTURE, at_once=True, container={"image": FOREIGN_IMAGE}),
    Doom(name="foreign-program", reason=Reason.WRONG_ARCHITECTURE, container={"image": FOREIGN_PROGRAM}),
    Doom(
        name="no-configmap",
        reason=Reason.CONFIG_MISSING,
        at_once=True,
        container={"envFrom": [{"configMapRef": ABSENT}]},
    ),
    Doom(name="no-secret", reason=Reason.CONFIG_MISSING, at_once=True, container={"envFrom": [{"secretRef": ABSENT}]}),
    Doom(
        name="no-key",
        reason=Reason.CONFIG_MISSING,
        at_once=True,
        container=from_key(configMapKeyRef={"name": "there", "key": "other"}),
    ),
    Doom(
        name="runs-as-root",
        reason=Reason.RUNS_AS_ROOT,
        at_once=True,
        container={"securityContext": {"runAsNonRoot": True, "runAsUser": 0}},
    ),
    Doom(name="no-program", reason=Reason.CANNOT_RUN, at_once=True, container={"command": ["/no/such/program"]}),
    Doom(name="no-right-to-run", reason=Reason.CANNOT_RUN, at_once=True, container={"command": ["/etc/passwd"]}),
    Doom(
        name="secret-volume",
        reason=Reason.VOLUME_MISSING,
        at_once=True,
        container=MARKS,
        spec=volume(secret={"secretName": "nobody"}),
    ),
    Doom(
        name="configmap-volume",
        reason=Reason.VOLUME_MISSING,
        at_once=True,
        container=MARKS,
        spec=volume(configMap=ABSENT),
    ),
    Doom(
        name="no-claim",
        reason=Reason.VOLUME_MISSING,
        at_once=True,
        container=MARKS,
        spec=volume(persistentVolumeClaim={"claimName": "nobody"}),
    ),
    Doom(name="policy", reason=Reason.ADMISSION, at_once=True, labels={"deny": "yes"}),
    Doom(name="paused", reason=Reason.PAUSED, at_once=True, deployment={"paused": True}),
    Doom(
        name="node-refuses",
        reason=Reason.POD_FAILED,
        at_once=True,
        spec={"nodeName": "n1", "nodeSelector": {"no": "where"}},
    ),
    Doom(name="crashes", reason=Reason.CRASH_LOOP, env={"MODE": "crashes"}),
    Doom(
        name="init-crashes",
        reason=Reason.CRASH_LOOP,
        spec={"initContainers": [{"name": "prepare", "image": IMAGE, "env": [{"name": "MODE", "value": "crashes"}]}]},
    ),
    Doom(name="exits", reason=Reason.EXITS, env={"MODE": "exits"}),
    Doom(name="out-of-memory", reason=Reason.OUT_OF_MEMORY, env={"MODE": "hog"}, container={"resources": LIMITED}),
    Doom(
        name="crashes-later",
        reason=Reason.CRASH_AFTER_READY,
        env={"MODE": "later", "LATER": "8"},
        waits=True,
    ),
    Doom(name="startup", reason=Reason.STARTUP, env={"MODE": "dead"}, container={"startupProbe": probe("/health")}),
    Doom(
        name="readiness",
        reason=Reason.READINESS,
        env={"MODE": "sick"},
        container={"startupProbe": probe("/health"), "readinessProbe": probe("/ready", failures=2)},
    ),
    Doom(
        name="liveness",
        reason=Reason.LIVENESS,
        env={"MODE": "dead"},
        container={"livenessProbe": probe("/health", failures=2), "readinessProbe": probe("/ready", failures=60)},
    ),
    Doom(name="quota", reason=Reason.QUOTA, full=True),
    Doom(name="no-account", reason=Reason.ADMISSION, spec={"serviceAccountName": "nobody"}),
    Doom(name="no-node", reason=Reason.UNSCHEDULABLE, spec={"nodeSelector": {"no": "where"}}),
    Doom(
        name="too-large",
        reason=Reason.UNSCHEDULABLE,
        container={"resources": {"requests": {"cpu": "999"}}},
    ),
    Doom(
        name="evicted",
        reason=Reason.EVICTED,
        env={"MODE": "fills"},
        container=MARKS,
        spec=volume(emptyDir={"sizeLimit": "1Mi"}),
        waits=True,
        limit=120.0,
    ),
]


@pytest.fixture(scope="module")
def grounds(cluster: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    made = Grounds(cluster)
    try:
        made.make(tmp_path_factory.mktemp("dooms"))
        eventually(made.is_refused, what="the policy to be in force", limit=60)
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def table(pytestconfig: pytest.Config) -> Iterator[list[Told]]:
    """What was told, printed at the end."""
    told: list[Told] = []
    yield told
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        for line in lines(told):
            print(line)


def lines(told: list[Told]) -> Iterator[str]:
    yield f"\n{'doom':18}{'cause':28}{'seconds':>8}  known at once"
    for one in sorted(told, key=lambda each: each.took):
        yield f"{one.doom.name:18}{one.cause.reason:28}{one.took:8.2f}  {'yes' if one.doom.at_once else ''}"
    at_once = [one.took for one in told if one.doom.at_once]
    if at_once:
        yield f"dooms={len(told)} known_at_once={len(at_once)} median={median(at_once):.2f} s max={max(at_once):.2f} s"


SLOW = {"readiness", "liveness", "too-large", "evicted"}
"""By their nature; each takes half a minute and more."""


@pytest.mark.parametrize(
    "doom",
    [pytest.param(doom, id=doom.name, marks=[pytest.mark.long] if doom.name in SLOW else []) for doom in DOOMS],
)
def test_a_doom_is_told_by_its_cause(doom: Doom, grounds: Grounds, table: list[Told]) -> None:
    is_told(grounds.told(doom), table)


@pytest.mark.long
def test_a_node_that_is_lost_is_told(breakable: Testbed, grounds: Grounds, table: list[Told]) -> None:
    """Its kubelet is silent for the two minutes after which Kubernetes says so, of pods that were ready there."""
    node = breakable.nodes[-1].name
    doom = Doom(name="node-lost", reason=Reason.NODE_LOST, spec={"nodeName": node}, waits=True, limit=300.0)
    with ExitStack() as ending:

        def lose() -> None:
            grounds.kubectl("rollout", "status", f"deployment/{doom.name}-green", "--timeout=60s")
            ending.enter_context(frozen(breakable, "kubelet", at=node))

        is_told(grounds.told(doom, then=lose), table)
    eventually(lambda: node in breakable.api.ready_nodes(), what="the node to be back")


def is_told(told: Told, table: list[Told]) -> None:
    table.append(told)
    doom, cause = told.doom, told.cause
    assert (cause.reason, cause.service) == (doom.reason, doom.name), cause
    assert cause.advice
    assert cause.pod or cause.detail
    assert "canary" not in f"{cause}{cause.log}{cause.event}"
