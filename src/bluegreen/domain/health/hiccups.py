"""What looks bad and is not: named, so that no rule takes one for a doom, and each with the reason."""

from __future__ import annotations

import re

from bluegreen.domain.values import dataclass

NODE_FAULT_EXIT_CODE = 128
"""A runtime's own code for a container that it could not start: a fault of the node, if the message says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hiccup:
    """A message that is no proof, whatever its reason is called."""

    name: str
    looks: re.Pattern[str]
    why: str

    def fits(self, message: str) -> bool:
        """Whether the message is of this kind."""
        return self.looks.search(message) is not None


CACHE_RACE = Hiccup(
    name="cache race",
    looks=re.compile(r"failed to sync .* cache"),
    why="a kubelet has not got its copy of a ConfigMap or Secret yet",
)
NAME_LOOKUP = Hiccup(
    name="name lookup",
    looks=re.compile(r"\blookup \S+(?: on \S+)?: |no such host", re.IGNORECASE),
    why='a name server that does not know the registry says "not found" of the host, not of the image',
)
DEADLINE = Hiccup(
    name="deadline",
    looks=re.compile(r"context deadline exceeded|DeadlineExceeded|context canceled|i/o timeout|TLS handshake timeout"),
    why="a call took too long: a busy node or registry, and the next try may be in time",
)
RESERVED_NAME = Hiccup(
    name="reserved name",
    looks=re.compile(r"name \S+ is reserved for"),
    why="the runtime is still at the try before",
)
BUSY_REGISTRY = Hiccup(
    name="busy registry",
    looks=re.compile(
        r"toomanyrequests|429 Too Many Requests|50[0234] (?:Internal|Bad|Service|Gateway)|connection (?:refused|reset)"
        r"|\bEOF\b"
    ),
    why="a registry that is overloaded or restarts says nothing of the image",
)

FRESH_NODE = Hiccup(
    name="fresh node",
    looks=re.compile(r"services have not yet been read|no relationship found between node"),
    why="a kubelet that has just started has not read the Services yet, and may not read the pod's ConfigMaps yet",
)
FRESH_NAMESPACE = Hiccup(
    name="fresh namespace",
    looks=re.compile(r"\"kube-root-ca\.crt\" not found|object \S+ not registered"),
    why="the authorities that each pod trusts are put into a new namespace by a controller, within seconds",
)
CONTENT = Hiccup(
    name="node's content",
    looks=re.compile(r"content digest \S+ not found|content at \S+ not found|unexpected media type"),
    why='the image is known: "not found" is a part of it, in the node\'s store or behind a proxy',
)
CREDENTIALS = Hiccup(
    name="token service",
    looks=re.compile(r"failed to (?:authorize|fetch \S+ token)|getting credentials|credential (?:helper|provider)"),
    why='who gives the node its right to pull says "not found" of itself, not of the image',
)

HICCUPS = (
    CACHE_RACE,
    NAME_LOOKUP,
    DEADLINE,
    RESERVED_NAME,
    BUSY_REGISTRY,
    FRESH_NODE,
    FRESH_NAMESPACE,
    CONTENT,
    CREDENTIALS,
)


def is_hiccup(message: str, *, besides: Hiccup | None = None) -> bool:
    """Whether the message is one of the named ones."""
    return any(hiccup.fits(message) for hiccup in HICCUPS if hiccup is not besides)
