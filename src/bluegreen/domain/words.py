"""Words of the platforms that mean something to more than one module."""

from __future__ import annotations

import re

PULL_WORDS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"})
"""One state under several names: the node looks for the image, tries to get it, pauses, and tries again."""

SETUP_WORDS = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"})
"""What is said of a pod that cannot be set up on its node."""

NODE_WORDS = frozenset({"NodeNotReady"})
"""What is said of a pod whose node does not answer."""

DELAY_WORDS = frozenset({"NetworkNotReady", "FailedCreatePodContainer", "FailedPrepareDynamicResources"})
"""What is said of a pod that cannot be set up yet, on a node that is not set up itself: told, and no cause."""

GATE_WORDS = frozenset({"ReadinessGatesNotReady"})
"""What is said of a pod that is ready but for somebody outside of it, such as a load balancer's controller."""

UNBOUND = re.compile(r"unbound immediate PersistentVolumeClaims|waiting for ephemeral volume controller")
"""What a scheduler says of a pod whose claim has no volume yet: whether a node has room is looked at after that."""

UNASKED = re.compile(r"failed calling webhook")
"""What an API server says that refuses pods because it cannot ask whether they may be made."""
