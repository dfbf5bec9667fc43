"""The credential plugins of a kubeconfig (``exec``), client.authentication.k8s.io/v1 and v1beta1.

The plugin talks to the user by its standard error, which we neither read nor keep. Its output is a secret.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from bluegreen.domain.errors import PlatformError, UsageError
from bluegreen.domain.values import dataclass, field, replace
from bluegreen.platforms.kubernetes.cluster import Certificate
from bluegreen.platforms.kubernetes.node import Node

if TYPE_CHECKING:
    from collections.abc import Mapping
    from subprocess import Popen

    from bluegreen.domain.stack import Seconds
    from bluegreen.platforms.kubernetes.cluster import Identity
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.wire import Deadline

GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")

_GLANCE: Seconds = 0.1
"""How late an interrupt may be while the plugin runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """What the kubeconfig says of it."""

    command: str
    arguments: tuple[str, ...] = field(default=(), repr=False)
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    version: str
    interactive: str = "IfAvailable"
    """``Never``, ``IfAvailable`` or ``Always``."""
    cluster: Json | None = field(default=None, repr=False)
    """What it is told of the cluster; None: it did not ask (``provideClusterInfo``)."""
    hint: str = ""
    """How to install it, in the kubeconfig's own words."""


class Exec:
    """Source: what the plugin says, until it says that it ends."""

    def __init__(self, plugin: Plugin, *, base: Identity, environ: Mapping[str, str]) -> None:
        """``environ``: what the plugin gets, without a kubeconfig's content."""
        self._plugin = plugin
        self._base = base
        self._environ = environ

    def fetch(self, deadline: Deadline, /) -> Identity:
        """As in Source. Raises UsageError when the plugin cannot be run, PlatformError when it fails."""
        return self._identity(_output(self._plugin, self._environ, deadline))

    def _identity(self, output: bytes) -> Identity:
        answer = _parsed(self._plugin, output)
        if answer.at("apiVersion").text() != self._plugin.version or answer.at("kind").text() != "ExecCredential":
            raise _fault(self._plugin, f"did not answer with an ExecCredential of {self._plugin.version}")
        status = answer.at("status")
        token = status.at("token").text()
        chain, key = status.at("clientCertificateData").text(), status.at("clientKeyData").text()
        if bool(chain) != bool(key):
            raise _fault(self._plugin, "gave a client certificate without a key, or a key without a certificate")
        if not token and not chain:
            raise _fault(self._plugin, "gave neither a token nor a client certificate")
        return replace(
            self._base,
            authorization=f"Bearer {token}" if token else self._base.authorization,
            certificate=Certificate(chain=chain, key=key) if chain else self._base.certificate,
            expires=_expiry(self._plugin, status.at("expirationTimestamp").text()),
        )


def _parsed(plugin: Plugin, output: bytes) -> Node:
    try:
        return Node(json.loads(output), fault=lambda what: _fault(plugin, f"answered with {what}"))
    except (ValueError, RecursionError):
        # From None: the fault carries what it read, and that holds a token.
        raise _fault(plugin, "did not answer with JSON") from None


def _expiry(plugin: Plugin, text: str) -> float | None:
    if not text:
        return None
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _fault(plugin, "gave an expirationTimestamp that is no time") from None
    if moment.tzinfo is None:
        raise _fault(plugin, "gave an expirationTimestamp without a time zone")
    return moment.timestamp()


def _fault(plugin: Plugin, what: str) -> PlatformError:
    return PlatformError(
        f"the credential plugin {plugin.command} {what}",
        mend="run kubectl get pods with the same kubeconfig: it starts the same plugin",
    )


def _output(plugin: Plugin, environ: Mapping[str, str], deadline: Deadline) -> bytes:
    """What the plugin writes; it is killed when the time is up."""
    process = _started(plugin, environ)
    with process:
        try:
            output = _finished(process, deadline)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise _fault(plugin, f"ended with exit code {process.returncode}")
    return output


def _finished(process: Popen[bytes], deadline: Deadline) -> bytes:
    from subprocess import TimeoutExpired

    while True:
        try:
            return process.communicate(timeout=min(_GLANCE, deadline.left()))[0]
        except TimeoutExpired:
            continue


def _started(plugin: Plugin, environ: Mapping[str, str]) -> Popen[bytes]:
    from subprocess import DEVNULL, PIPE, Popen

    interactive = _interactive(plugin)
    try:
        return Popen(
            [plugin.command, *plugin.arguments],
            env={
                **environ,
                **dict(plugin.environment),
                "KUBERNETES_EXEC_INFO": _information(plugin, interactive=interactive),
            },
            stdin=None if interactive else DEVNULL,
            stdout=PIPE,
        )
    except OSError as error:
        raise UsageError(
            f"the credential plugin {plugin.command} of the kubeconfig cannot be run: {error.strerror}",
            mend=plugin.hint or "install it, or use a kubeconfig with a token",
        ) from error


def _interactive(plugin: Plugin) -> bool:
    """Whether it may ask the person at the terminal."""
    there = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
    if plugin.interactive == "Always" and not there:
        raise UsageError(
            f"the credential plugin {plugin.command} asks a person, and there is no terminal",
            mend="log in where there is one, or use a kubeconfig with a token",
        )
    return there and plugin.interactive != "Never"


def _information(plugin: Plugin, *, interactive: bool) -> str:
    spec: dict[str, object] = {"interactive": interactive}
    if plugin.cluster is not None:
        spec["cluster"] = plugin.cluster
    return json.dumps({"kind": "ExecCredential", "apiVersion": plugin.version, "spec": spec})
