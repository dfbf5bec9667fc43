"""Every number of the verdicts, with its reason. What is not here is told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bluegreen.domain.stack import Seconds

RESTARTS_ALLOWED = 1
"""A container may end once before it is called a crash loop: one hiccup is no doom."""

LOST_ALLOWED = 1
"""Pods that may be lost (evicted, refused by their node) for each one wanted, before losing them is the cause."""

STEADY: Seconds = 10.0
"""A pod that was started again counts as ready once it has been so for so long: most crashes come soon after."""

QUOTA: Seconds = 5.0
"""A quota counts a pod until its controller has seen it go, which is later than the pod is gone. So right after a slot
was ended its successor may be refused for a moment by a quota that has room for it."""

REFUSAL: Seconds = 10.0
"""What an API server refuses for a moment: two writers of one quota, an etcd that elects its leader, a service account
or a quota's count that is not there yet in a namespace that was just made. Controllers try again within seconds."""

WEBHOOK: Seconds = 30.0
"""A webhook that cannot be called: its only pod may be on its way from one node to another, and each try may take it
10 s to fail."""

PULL: Seconds = 90.0
"""For an image that cannot be pulled for any other reason than that there is none. A kubelet tries at once, and after
10, 20 and 40 s more: all four tries of every pod fail hardly ever where a registry breaks three connections of
eight. The usual limit, 150 s, comes later, so that the cause is told and not the limit."""

PULL_REFUSED: Seconds = 30.0
"""For an image that the registry does not give to this account: an answer, but a token service may have trouble."""

UNSCHEDULABLE: Seconds = 20.0
"""No node takes the pod. An autoscaler says within some 10 s that it makes one; then there is no doom, and the limit
decides."""

BINDING: Seconds = 60.0
"""A claim without a volume. Its provisioner has to make a disk first, which takes some ten to forty seconds."""

SETUP: Seconds = 30.0
"""A volume that is not attached or mounted yet, a network that is not set up, a container that cannot be created: each
is tried again within seconds, and a volume may have to leave another node first."""

NODE: Seconds = 30.0
"""A node that does not answer. Kubernetes itself waits for 300 s before it gives its pods up."""

NEEDS: Seconds = 5.0
"""What was under way when the services that are needed became ready: a life that ends then began before."""

PROBE_SLACK: Seconds = 3.0
"""What a kubelet says of a container may be so late: it reports once a second, and later under load."""

SETTLING: Seconds = 30.0
"""The least time for readiness after a startup probe has passed: a readiness probe with a short window is made to
notice a fault soon, and says nothing of how long the first readiness takes."""

WARM_UP: Seconds = 60.0
"""The least time for readiness of a container without a startup probe: its readiness probe is all that knows of its
start, and its window says nothing of how long that takes. Only the limit does, so that one comes first where there is
one and the container was never ready."""

READINESS_WINDOWS = 2
"""Readiness may fail through its own window once, and is the cause when it has failed through a second one."""
