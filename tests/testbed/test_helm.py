"""That both Helms are real, are the versions they are called by, and work on the cluster."""

import pytest
from testbed.cluster import Cluster
from testbed.start import need_tools
from tests.testbed.helpers import HERE, tell

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(("helm", "version"), [("helm3", "v3."), ("helm4", "v4.")])
def test_a_chart_is_installed_upgraded_and_removed(
    cluster: Cluster, fresh_namespace: str, helm: str, version: str
) -> None:
    need_tools(cluster, [helm], tell=tell)
    chart = str(HERE / "chart")
    for words in (["install", "one", chart], ["upgrade", "one", chart]):
        done = cluster.run([helm, *words, "--namespace", fresh_namespace])
        assert done.returncode == 0, done.stderr
    shown = cluster.kubectl("-n", fresh_namespace, "get", "configmap", "greeting", "-o", "jsonpath={.data.helm}")
    assert shown.startswith(version)
    done = cluster.run([helm, "uninstall", "one", "--namespace", fresh_namespace])
    assert done.returncode == 0, done.stderr
