"""Keys, certificates and tokens of one cluster, made new at each start and removed with it.

People and servers are known by tokens (one file the API server reads), the API server by a certificate.
"""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.places import API_ADDRESS, API_SERVICE_ADDRESS, API_URL, Node
from testbed.processes import run

_DAYS = "30"
_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
_API_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")


@dataclass(frozen=True, slots=True)
class User:
    """Who presents a token: the file it is for, the name and the group the API server sees."""

    file: str
    name: str
    group: str = ""


def users(nodes: Sequence[Node]) -> list[User]:
    """Everyone who gets a kubeconfig of this name."""
    found = [
        User("admin", "admin", "system:masters"),
        User("controllers", "system:kube-controller-manager"),
        User("scheduler", "system:kube-scheduler"),
    ]
    for node in nodes:
        found.append(User(node.name, f"system:node:{node.name}", "system:nodes"))
        found.append(User(f"proxy-{node.name}", "system:kube-proxy"))
    return found


def make(folder: Path, nodes: Sequence[Node]) -> None:
    """Everything the servers and the users need, in `folder`, which only root can read."""
    folder.mkdir(parents=True, mode=0o700)
    _authority(folder)
    _api_server(folder)
    _service_accounts(folder)
    rows = []
    for user in users(nodes):
        token = secrets.token_urlsafe(24)
        rows.append(f'{token},{user.name},{user.file},"{user.group}"')
        _write_kubeconfig(folder, user.file, token)
    (folder / "tokens.csv").write_text("\n".join(rows) + "\n")


def read_token(kubeconfig: Path) -> str:
    """The token in a kubeconfig written here."""
    users_part = json.loads(kubeconfig.read_text())["users"]
    return str(users_part[0]["user"]["token"])


def _authority(folder: Path) -> None:
    files: list[str | Path] = ["-keyout", folder / "ca.key", "-out", folder / "ca.crt"]
    run(["openssl", "req", "-x509", *_CURVE, "-days", _DAYS, *files, "-subj", "/CN=testbed-ca"])


def _api_server(folder: Path) -> None:
    """One pair serves both ways: to clients as a server, to kubelets as the client that asks for logs and exec.

    The group system:masters gives it the right to ask; without it `kubectl logs` is forbidden.
    """
    request, names = folder / "api.csr", folder / "api.names"
    addresses = [f"IP:{address}" for address in ("127.0.0.1", API_ADDRESS, API_SERVICE_ADDRESS)]
    names.write_text("subjectAltName=" + ",".join([*addresses, *(f"DNS:{name}" for name in _API_NAMES)]))
    subject = ["-subj", "/O=system:masters/CN=kube-apiserver"]
    run(["openssl", "req", *_CURVE, "-keyout", folder / "api.key", "-out", request, *subject])
    signer: list[str | Path] = [
        "-CA",
        folder / "ca.crt",
        "-CAkey",
        folder / "ca.key",
        "-CAcreateserial",
        "-days",
        _DAYS,
    ]
    run(["openssl", "x509", "-req", "-in", request, *signer, "-out", folder / "api.crt", "-extfile", names])


def _service_accounts(folder: Path) -> None:
    run(["openssl", "genrsa", "-out", folder / "sa.key", "2048"])
    run(["openssl", "rsa", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub"])


def _write_kubeconfig(folder: Path, user: str, token: str) -> None:
    authority = base64.b64encode((folder / "ca.crt").read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testbed", "cluster": {"server": API_URL, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user}}],
        "current-context": "testbed",
    }
    (folder / f"{user}.kubeconfig").write_text(json.dumps(config, indent=1))
