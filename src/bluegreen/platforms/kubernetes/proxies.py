"""Which proxy a server is reached through: the kubeconfig's own, else the environment's, as kubectl decides it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from bluegreen.domain.errors import UsageError
from bluegreen.platforms.kubernetes.cluster import Proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluegreen.platforms.kubernetes.cluster import Server


def proxy_of(url: str, server: Server, *, environ: Mapping[str, str]) -> Proxy | None:
    """``url``: the cluster's ``proxy-url``, to which NO_PROXY does not apply. Raises UsageError."""
    if url:
        return parsed(url, whose="proxy-url in the kubeconfig")
    name = "HTTPS_PROXY" if server.tls else "HTTP_PROXY"
    found = _variable(environ, name)
    if not found or excepted(server, _variable(environ, "NO_PROXY")):
        return None
    return parsed(found if "://" in found else f"http://{found}", whose=name)


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.lower()) or "").strip()


def parsed(url: str, *, whose: str) -> Proxy:
    """Never quotes the address: it may hold a password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        raise UsageError(f"{whose} is no address", mend="write it as http://proxy.example:3128") from None
    if parts.scheme != "http" or not host:
        raise UsageError(
            f"{whose}: only proxies that are spoken to by plain HTTP are supported",
            mend="write it as http://proxy.example:3128; what goes to the API server is encrypted all the way",
        )
    return Proxy(host=host, port=port, authorization=_authorization(parts.username, parts.password))


def _authorization(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def excepted(server: Server, exceptions: str) -> bool:
    """Whether NO_PROXY, or being this machine itself, keeps the proxy out of the way."""
    host = server.host.lower().rstrip(".")
    return host == "localhost" or _is_loopback(host) or any(_matches(server, host, one) for one in _listed(exceptions))


def _listed(exceptions: str) -> list[str]:
    return [one for one in (part.strip().lower() for part in exceptions.split(",")) if one]


def _matches(server: Server, host: str, rule: str) -> bool:
    """``*``, a network, an address, ``example.com`` (and all below it), ``.example.com`` (only below), with a port."""
    if rule == "*" or _in_network(host, rule):
        return True
    name, colon, port = rule.rpartition(":")
    if colon and port.isdigit() and (":" not in name or name.startswith("[")):
        if int(port) != server.port:
            return False
        rule = name.strip("[]")
    below = rule.removeprefix("*")
    return host == rule or host.endswith(below if below.startswith(".") else f".{below}")


def _is_loopback(host: str) -> bool:
    """``::1`` and 127.0.0.0/8; a look spares the import for names."""
    return host == "::1" or (host.startswith("127.") and host.replace(".", "").isdigit())


def _in_network(host: str, rule: str) -> bool:
    if "/" not in rule:
        return False
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False
