"""Pages about Kubernetes that have no suite of their own, read from top to bottom beside the testbed's API server."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from testbed.start import need_tools
from tests.docs.kit import ROOT, Reader, commands
from tests.docs.register import ON_A_CLUSTER
from tests.kubernetes.kit import shares_the_cluster
from tests.testbed.helpers import gone

from cluster_harness import ClusterStack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.soak]

SCRIPT = ROOT / "devops/scripts/blue_green_deploy.sh"
HELM = "helm4"


@pytest.fixture
def reader(cluster: Cluster, tmp_path: Path) -> Iterator[Reader]:
    """Somebody with a cluster, in which the namespace of the pages is free and their images are known."""
    if shares_the_cluster():
        pytest.skip("not run: the namespace alfred is not ours on a cluster that others use")
    stack = ClusterStack(cluster, namespace="alfred", folder=tmp_path, helm=HELM)
    words = {"helm ": f"{HELM} "}
    environment = {**stack.environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    need_tools(cluster, [HELM], tell=lambda _: None)
    subprocess.run([SCRIPT, "--help"], env=environment, capture_output=True, check=True, timeout=120)
    gone(cluster)
    for tag in ("v2.0.0", "v2.1.0"):
        stack.image(tag)
    reader = Reader(ROOT, words=words, environment=environment, shell=cluster.command(["bash", "--norc"]))
    try:
        yield reader
    finally:
        reader.close()
        stack.remove()
        gone(cluster)


@pytest.mark.parametrize("page", ON_A_CLUSTER)
def test_the_page_does_what_it_says(page: str, reader: Reader) -> None:
    for command in commands(ROOT / page):
        reader.do(command)
