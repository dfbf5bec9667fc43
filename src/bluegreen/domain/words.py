"""Words of the platforms that mean something to more than one module."""

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
