"""The testbed's own Prometheus: the specification's metrics, the dashboard's queries, and releases judged from it."""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from tests.docs.kit import commands
from tests.kubernetes.kit import deploy_words, deploying, fresh, whole
from tests.testbed.helpers import fetch

from cluster_harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster
    from tests.kubernetes.conftest import StartLoad

    from cluster_harness import ClusterStack

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

URL = "http://prometheus.monitoring.svc:9090"
FROM = ("--prometheus", URL, "--validation-time", "20")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/prometheus.md"
DASHBOARD = json.loads((ROOT / "tools/grafana/alfred-dashboard.json").read_text())


def asked(cluster: Cluster, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers to the query."""
    text = fetch(cluster, f"{URL}/api/v1/query?{urlencode({'query': query})}", at="c1")
    return list(json.loads(text)["data"]["result"]) if text else []


def answers(cluster: Cluster, query: str) -> bool:
    """Whether there is any series in the answer."""
    return asked(cluster, query) != []


def wait_scraped(stack: ClusterStack) -> None:
    """Until every pod of the gateway is known to Prometheus."""
    query = f'alfred_gateway_requests_total{{namespace="{stack.namespace}",status="200"}}'
    wait_until(lambda: len(asked(stack.cluster, query)) >= 4, what="four pods in Prometheus", limit=120)


def queries() -> Iterator[tuple[str, str]]:
    """The dashboard's, with what they are for; kube-state-metrics is not in the testbed."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            if "kube_" not in target["expr"]:
                yield panel["title"], target["expr"]


def test_the_specs_metrics_and_the_dashboards_queries_answer_under_load(
    shared: ClusterStack, start_load: StartLoad
) -> None:
    load = start_load(shared)
    wait_scraped(shared)
    own = f'namespace="{shared.namespace}"'
    for query in ('alfred_gateway_requests_total{status=~"5.."}', "alfred_gateway_request_duration_ms_bucket"):
        wait_until(partial(answers, shared.cluster, query), what=query, limit=120)
    for title, query in queries():
        plain = query.replace("$__rate_interval", "30s").replace('namespace="$namespace"', own)
        wait_until(partial(answers, shared.cluster, plain), what=f"{title}: {plain}", limit=120)
    assert load.stop().failed == 0


def test_a_release_judged_from_prometheus_is_proven(shared: ClusterStack, start_load: StartLoad) -> None:
    """By the page's own words (docs/prometheus.md)."""
    wait_scraped(shared)
    load = start_load(shared)
    (line,) = (command.text for command in commands(PAGE))
    words = line.replace("http://prometheus.example:9090", URL).replace(":v2.1.0", f":{fresh(shared)}")
    told = shared.told(*shlex.split(words)[1:])
    assert told.end() == 0, told.shown()
    assert told.summary["outcome"] == "released", told.shown()
    assert load.stop().failed == 0
    whole(shared)


def test_a_bad_release_is_rolled_back(shared: ClusterStack, start_load: StartLoad) -> None:
    wait_scraped(shared)
    served, tag = shared.selector(), fresh(shared, fault="errors=20")
    load = start_load(shared, bad=[tag])
    with deploying(shared, tag, *FROM) as told:
        assert told.end() == 3, told.shown()
    assert "error" in json.dumps(told.summary), told.shown()
    assert shared.selector() == served
    assert load.stop().failed == 0
    whole(shared)


@contextmanager
def stopped_prometheus(cluster: Cluster) -> Iterator[None]:
    """No Prometheus while the block lasts; back and ready after it."""
    words = ("-n", "monitoring", "scale", "deployment/prometheus")
    cluster.kubectl(*words, "--replicas=0")
    try:
        yield
    finally:
        cluster.kubectl(*words, "--replicas=1")
        cluster.kubectl("-n", "monitoring", "rollout", "status", "deployment/prometheus", "--timeout=110s")


def test_prometheus_stopped_in_the_window_leaves_the_release_unproven_and_says_so(
    shared: ClusterStack, start_load: StartLoad, breakable: Cluster
) -> None:
    wait_scraped(shared)
    load = start_load(shared)
    tag = fresh(shared)
    with deploying(shared, tag, *FROM) as told:
        told.reach("phase_began", phase="observe")
        with stopped_prometheus(breakable):
            assert told.end() == 0, told.shown()
    assert told.summary["outcome"] == "released, not proven", told.shown()
    said = json.dumps(told.summary)  # which of the two is the network's: refused, or not answered
    assert "Prometheus cannot be reached" in said or "Prometheus does not answer" in said, told.shown()
    assert load.stop().failed == 0
    whole(shared)


def test_what_does_not_answer_is_told_before_the_first_write(shared: ClusterStack) -> None:
    words = deploy_words(fresh(shared), "--dry-run", "--prometheus", "http://prometheus.monitoring.svc:9")
    told = shared.told(*words)
    assert told.end() == 0, told.shown()
    warned = [event["text"] for event in told.events if event["event"] == "warned"]
    assert any("Prometheus" in text and "will end as not proven" in text for text in warned), told.shown()
