"""The idle slot gets the size of the one that serves, and an autoscaler of it is told so for as long as the release is.

The cluster has no metrics of pods, so an autoscaler here does what it does without: it keeps its least size.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.kit import OTHER, deploy_words, deploying, fresh, sizes

from bluegreen.platforms.kubernetes import names
from cluster_harness import ClusterStack, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

GROWN = {"alfred-backend": 3, "alfred-gateway": 2}


@pytest.fixture
def stack(make: Callable[[str], ClusterStack]) -> ClusterStack:
    """The backend of blue, which serves, has grown to three; green's would keep itself at one."""
    made = make("sizes")
    made.kubectl("scale", "deployment/alfred-backend-blue", "--replicas=3")
    made.kubectl("rollout", "status", "deployment/alfred-backend-blue", "--timeout=90s")
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "alfred-backend-green"}
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    ]
    made.kubectl("create", "-f", "-", stdin=json.dumps(autoscaler(reference, metrics)))
    return made


def autoscaler(reference: Any, metrics: Any) -> Any:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "green"},
        "spec": {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 6, "metrics": metrics},
    }


def least(stack: ClusterStack) -> tuple[int, str]:
    """The autoscaler's least size, and what is remembered on it."""
    found = stack.get("hpa", "green")
    return found["spec"]["minReplicas"], found["metadata"].get("annotations", {}).get(names.LEAST, "")


def test_an_autoscaler_of_the_idle_slot_keeps_the_size_until_the_release_is_over(stack: ClusterStack) -> None:
    with deploying(stack, fresh(stack), "--validation-time", "20") as told:  # long enough to be looked at
        told.reach("phase_began", phase="observe")
        assert (least(stack), sizes(stack, "green")) == ((3, "1"), GROWN)
        assert told.end() == 0, told.shown()
    assert stack.selector() == "green"
    assert least(stack) == (1, "")


def test_a_release_that_fails_gives_the_autoscaler_its_own_size_again(stack: ClusterStack) -> None:
    before = sizes(stack, "green")
    done = stack.run(
        "deploy", "--backend-image", "alfredai/backend:nowhere", "--gateway-image", "alfredai/gateway:first"
    )
    assert done.code == 1, done.out + done.err
    assert stack.selector() == "blue"
    assert (least(stack), sizes(stack, "green")) == ((1, ""), before)


def test_an_autoscaler_that_allows_too_few_is_told_before_anything_is_written(stack: ClusterStack) -> None:
    stack.kubectl("patch", "hpa", "green", "--type=merge", "-p", '{"spec":{"maxReplicas":2}}')
    done = stack.run(*deploy_words("first", "--force"))
    assert done.code == 2, done.out + done.err
    assert "HorizontalPodAutoscaler green allows alfred-backend-green 2 pods at most" in done.err
    mend = next(line for line in done.err.splitlines() if "kubectl patch hpa" in line).strip()
    assert mend.startswith(f"kubectl patch hpa green -n {stack.namespace} --type merge"), mend
    assert least(stack) == (1, "")


def test_what_a_killed_run_has_raised_is_put_back_by_the_next_command(stack: ClusterStack) -> None:
    with deploying(stack, fresh(stack), "--validation-time", "60") as told:
        told.reach("phase_began", phase="observe")
        told.kill()
    assert least(stack) == (3, "1")
    assert stack.run("rollback").code == 0
    assert stack.selector() == OTHER["green"]
    wait_until(lambda: least(stack) == (1, ""), what="the autoscaler's own least size", limit=60)
