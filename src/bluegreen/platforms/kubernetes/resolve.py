"""From a merged kubeconfig, or a pod's service account, to a Cluster: what each setting means, and what is refused."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from bluegreen.domain.errors import UsageError
from bluegreen.platforms.kubernetes.cluster import Certificate, Cluster, Identity, Server, Trust
from bluegreen.platforms.kubernetes.credentials import Credentials, Fixed, TokenFile
from bluegreen.platforms.kubernetes.kubeconfig import Entry, child_environment, names
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.proxies import proxy_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluegreen.platforms.kubernetes.credentials import Source
    from bluegreen.platforms.kubernetes.exec_plugin import Plugin
    from bluegreen.platforms.kubernetes.kubeconfig import Merged

IN_CLUSTER = "in-cluster"
_CLUSTER_EXTENSION = "client.authentication.k8s.io/exec"
_PORTS = 65536
_OF_HEADER_NAMES = "!#$&'*+^`|"
"""What the name of a header may hold besides letters, digits and ``-._~``; but for ``%``, which escapes all else."""


def cluster_of(merged: Merged, *, context: str, environ: Mapping[str, str], notes: tuple[str, ...] = ()) -> Cluster:
    """The context's cluster and user. Raises UsageError."""
    name = context or merged.current
    chosen = _context(merged, name).node
    entry = _of(merged.clusters, chosen.at("cluster").text(), kind="cluster", context=name)
    user_name = chosen.at("user").text()
    user = _of(merged.users, user_name, kind="user", context=name) if user_name else Entry(Node(None), None)
    trust = _trust(entry)
    server = server_of(entry.node.at("server").text(), trust=trust, context=name)
    blind = (f"context {name}: the API server's certificate is not verified",) if trust.blind else ()
    return Cluster(
        context=name,
        server=server,
        trust=trust,
        credentials=Credentials(_source(user, cluster=entry, trust=trust, environ=environ)),
        proxy=proxy_of(entry.node.at("proxy-url").text(), server, environ=environ),
        namespace=chosen.at("namespace").text(),
        notes=notes + blind,
    )


def cluster_in_pod(folder: Path, *, environ: Mapping[str, str]) -> Cluster:
    """The cluster that this pod runs in, as its service account; the token is read again as it is replaced."""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT") or "443"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < _PORTS):
        raise UsageError("KUBERNETES_SERVICE_PORT is no port", mend="set KUBECONFIG to a kubeconfig's path")
    namespace = folder / "namespace"
    return Cluster(
        context=IN_CLUSTER,
        server=Server(host=host.strip("[]"), port=int(port)),
        trust=Trust(authorities=_read(folder / "ca.crt", "the service account")),
        credentials=Credentials(TokenFile(folder / "token", base=Identity())),
        namespace=namespace.read_text(encoding="utf-8").strip() if namespace.is_file() else "",
    )


def _context(merged: Merged, name: str) -> Entry:
    if not name:
        raise UsageError(
            "the kubeconfig has no current-context",
            mend=f"name one with --context; there are: {names(merged.contexts)}",
        )
    if name not in merged.contexts:
        raise UsageError(
            f"the kubeconfig has no context {name}",
            mend=f"there are: {names(merged.contexts)}",
        )
    return merged.contexts[name]


def _of(entries: Mapping[str, Entry], name: str, *, kind: str, context: str) -> Entry:
    if name not in entries:
        raise UsageError(
            f"context {context} names the {kind} {name or '(none)'}, which the kubeconfig does not have",
            mend=f"there are: {names(entries)}",
        )
    return entries[name]


# --- the server -------------------------------------------------------------------------------------------------


def server_of(url: str, *, trust: Trust, context: str) -> Server:
    """Without a scheme it is https when anything is said about TLS, as kubectl has it."""
    tls = bool(trust.authorities or trust.name or trust.blind)
    whole = url if "://" in url else f"{'https' if tls else 'http'}://{url}"
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if not url or not host or parts.scheme not in {"http", "https"} or parts.username is not None:
        raise UsageError(
            f"context {context}: the cluster's server is not an address",
            mend="write it as https://api.example:6443, without a user",
        )
    secure = parts.scheme == "https"
    return Server(host=host, port=port or (443 if secure else 80), tls=secure, prefix=parts.path.rstrip("/"))


def _trust(entry: Entry) -> Trust:
    blind = entry.node.at("insecure-skip-tls-verify").flag()
    authorities = _pem(entry, "certificate-authority")
    if blind and authorities:
        raise UsageError(
            "the kubeconfig's cluster has both a certificate authority and insecure-skip-tls-verify",
            mend="remove insecure-skip-tls-verify",
        )
    return Trust(authorities=authorities, name=entry.node.at("tls-server-name").text(), blind=blind)


# --- what stands in the file or beside it -----------------------------------------------------------------------


def _pem(entry: Entry, name: str) -> str:
    """Certificates and keys: ``<name>-data`` in base64, else the file that ``<name>`` names; empty: neither."""
    data = entry.node.at(f"{name}-data").text()
    if data:
        return _base64(data, name=f"{name}-data")
    path = entry.node.at(name).text()
    return _read(_located(path, entry, name=name), name) if path else ""


def _base64(data: str, *, name: str) -> str:
    try:
        return base64.b64decode("".join(data.split()), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        # From None: the fault carries what it could not decode.
        raise UsageError(
            f"{name} in the kubeconfig is not base64 of PEM", mend="compare it with kubectl config view --raw"
        ) from None


def _located(path: str, entry: Entry, *, name: str) -> Path:
    found = Path(path)
    if found.is_absolute():
        return found
    if entry.folder is None:
        raise UsageError(
            f"{name}: KUBECONFIG holds the content, so the relative path {path} starts nowhere",
            mend=f"put the file's content in as well: kubectl config view --raw --flatten writes {name}-data",
        )
    return entry.folder / found


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(
            f"{name}: {path}: {why}", mend="kubectl config view --raw --flatten puts files into the kubeconfig"
        ) from None


# --- the user ---------------------------------------------------------------------------------------------------


def _source(user: Entry, *, cluster: Entry, trust: Trust, environ: Mapping[str, str]) -> Source:
    node = user.node
    if node.at("auth-provider"):
        raise UsageError(
            f"the kubeconfig's user has an auth-provider ({node.at('auth-provider', 'name').text()}), "
            "which kubectl no longer knows either",
            mend="log in with a tool that writes an exec plugin: gke-gcloud-auth-plugin, kubelogin, aws eks get-token",
        )
    base = _identity(user)
    if node.at("tokenFile").text():
        return TokenFile(_located(node.at("tokenFile").text(), user, name="tokenFile"), base=base)
    if node.at("exec") and not base.authorization:
        from bluegreen.platforms.kubernetes.exec_plugin import Exec

        plugin = _plugin(user, cluster=cluster, trust=trust)
        return Exec(plugin, base=base, environ=child_environment(environ))
    return Fixed(base)


def _identity(user: Entry) -> Identity:
    """All that the kubeconfig itself says of the user."""
    token, name = user.node.at("token").text().strip(), user.node.at("username").text()
    if token and name:
        raise UsageError("the kubeconfig's user has both a token and a user name", mend="remove one of them")
    authorization = f"Bearer {token}" if token else ""
    if name:
        pair = f"{name}:{user.node.at('password').text()}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return Identity(authorization=authorization, headers=tuple(_impersonation(user.node)), certificate=_shown(user))


def _shown(user: Entry) -> Certificate | None:
    chain, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    if bool(chain) != bool(key):
        raise UsageError(
            "the kubeconfig's user has a client certificate without a key, or a key without a certificate",
            mend="kubectl config view --raw shows which is there",
        )
    return Certificate(chain=chain, key=key) if chain else None


def _impersonation(user: Node) -> list[tuple[str, str]]:
    """``as`` and its companions: to leave them out would be to act as somebody else."""
    headers = [("Impersonate-User", user.at("as").text()), ("Impersonate-Uid", user.at("as-uid").text())]
    headers += [("Impersonate-Group", group) for group in user.at("as-groups").texts()]
    for name in user.at("as-user-extra").mapping():
        key = quote(name, safe=_OF_HEADER_NAMES)
        headers += [(f"Impersonate-Extra-{key}", value) for value in user.at("as-user-extra", name).texts()]
    return [(name, value) for name, value in headers if value]


def _plugin(user: Entry, *, cluster: Entry, trust: Trust) -> Plugin:
    from bluegreen.platforms.kubernetes.exec_plugin import VERSIONS, Plugin

    node = user.node.at("exec")
    version, command = node.at("apiVersion").text(), node.at("command").text()
    if version not in VERSIONS:
        raise UsageError(
            f"the credential plugin {command} is of version {version or '(none)'}, which is not supported",
            mend=f"update it; in the kubeconfig its apiVersion has to be {VERSIONS[0]}",
        )
    if not command:
        raise UsageError("the kubeconfig's user has an exec without a command", mend="name the credential plugin")
    if os.sep in command:
        command = str(_located(command, user, name="exec command"))
    return Plugin(
        command=command,
        arguments=node.at("args").texts(),
        environment=tuple((one.at("name").text(), one.at("value").text()) for one in node.at("env").items()),
        version=version,
        interactive=_interactive(node, command=command),
        cluster=_told(cluster, trust) if node.at("provideClusterInfo").flag() else None,
        hint=node.at("installHint").text(),
    )


def _interactive(node: Node, *, command: str) -> str:
    mode = node.at("interactiveMode").text() or "IfAvailable"
    if mode not in {"Never", "IfAvailable", "Always"}:
        raise UsageError(
            f"the credential plugin {command} has an interactiveMode that does not exist",
            mend="it is Never, IfAvailable or Always",
        )
    return mode


def _told(cluster: Entry, trust: Trust) -> dict[str, object]:
    """What ``provideClusterInfo`` gives the plugin to know."""
    told: dict[str, object] = {"server": cluster.node.at("server").text()}
    if trust.name:
        told["tls-server-name"] = trust.name
    if trust.blind:
        told["insecure-skip-tls-verify"] = True
    if trust.authorities:
        told["certificate-authority-data"] = base64.b64encode(trust.authorities.encode()).decode()
    if cluster.node.at("proxy-url").text():
        told["proxy-url"] = cluster.node.at("proxy-url").text()
    for extension in cluster.node.at("extensions").items():
        if extension.at("name").text() == _CLUSTER_EXTENSION:
            told["config"] = extension.at("extension").value
    return told
