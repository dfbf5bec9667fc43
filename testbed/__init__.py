"""A real Kubernetes of a control plane and worker nodes in network namespaces, for tests.

It decides how such a cluster is built, started, disturbed and removed. It knows nothing of what is tested on it.
"""

from testbed.cluster import Cluster
from testbed.errors import TestbedError, Unavailable

__all__ = ["Cluster", "TestbedError", "Unavailable"]
