"""Words of the platforms that mean something to more than one module."""

PULL_WORDS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
"""One state under several names: the node tries to get the image, pauses, and tries again."""

SETUP_WORDS = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"})
"""What is said of a pod that cannot be set up on its node."""

NODE_WORDS = frozenset({"NodeNotReady"})
"""What is said of a pod whose node does not answer."""
