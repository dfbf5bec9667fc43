"""Which API server, by which way, trusted by what, asked as whom: values. How they are found is in kubeconfig.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.values import dataclass, field

if TYPE_CHECKING:
    from bluegreen.platforms.kubernetes.credentials import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the API is."""

    host: str
    port: int
    tls: bool = True
    prefix: str = ""
    """What stands before every path, for clusters behind a gateway: ``/k8s/clusters/c-1``."""

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.tls else 80
        return host if self.port == usual else f"{host}:{self.port}"

    def __str__(self) -> str:
        """The address for the screen; it holds no secret."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What makes us believe that it is the API server."""

    authorities: str = ""
    """Certificates in PEM, the only ones that are trusted; empty: those of the system."""
    name: str = ""
    """The name its certificate must carry (``tls-server-name``); empty: the host's."""
    blind: bool = False
    """``insecure-skip-tls-verify``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy that is asked to CONNECT."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)
    """The value of Proxy-Authorization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A client certificate with its key, both PEM. The key is a secret: it is never shown."""

    chain: str = field(repr=False)
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """As whom a request is made, at one time."""

    authorization: str = field(default="", repr=False)
    """The value of the Authorization header; empty: none."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Further headers: whom to impersonate."""
    certificate: Certificate | None = field(default=None, repr=False)
    expires: float | None = None
    """On the wall clock; None: nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """All that is needed to talk to one cluster. Shared by threads."""

    context: str
    """The context's name in the kubeconfig, or ``in-cluster``."""
    server: Server
    trust: Trust
    credentials: Credentials = field(repr=False)
    proxy: Proxy | None = None
    namespace: str = ""
    """The context's own; the stack's wins over it."""
    notes: tuple[str, ...] = ()
    """What a person should know: a file that was skipped, verification that is off."""
