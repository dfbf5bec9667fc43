"""The official client as the oracle: the same kubeconfig makes the same requests, heard by the same server.

It is a development dependency only, of a version before its rewrite (36 and later bring 23 packages more).
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.kubernetes_transport.kit import PACE, RecordingClock
from tests.kubernetes_transport.server import ScriptedServer, reply, thing

from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes.kubeconfig import load_cluster
from bluegreen.platforms.kubernetes.resources import DEPLOYMENTS, PODS, SERVICES
from bluegreen.platforms.kubernetes.transport import Api

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from tests.kubernetes_transport.conftest import Papers
    from tests.kubernetes_transport.server import Heard

pytestmark = pytest.mark.slow

Tree = dict[str, object]
LIMIT = Instant(30.0)
PATCH: Tree = {"metadata": {"resourceVersion": "7"}, "spec": {"selector": {"slot": "green"}}}
OPS = [{"op": "test", "path": "/metadata/generation", "value": 3}]
ANSWER = thing("a", 7) | {"kind": "List", "apiVersion": "v1", "items": []}
PLUGIN = Path(__file__).with_name("plugin.py")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def users(papers: Papers, folder: Path) -> dict[str, Tree]:
    """Every kind of user that both sides know."""
    chain, key = papers.client
    (folder / "token").write_text("in-a-file", encoding="utf-8")
    (folder / "chain.pem").write_text(chain.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "key.pem").write_text(key.read_text(encoding="utf-8"), encoding="utf-8")
    version = "client.authentication.k8s.io/v1beta1"
    variables = {"PLUGIN_NOTES": str(folder / "notes"), "PLUGIN_VERSION": version, "PLUGIN_STATUS": '{"token": "p"}'}
    plugin = {
        "apiVersion": version,
        "command": sys.executable,
        "args": [str(PLUGIN)],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
    }
    return {
        "nobody": {},
        "token": {"token": "a-token"},
        "token file": {"tokenFile": "token"},
        "basic": {"username": "ann", "password": "pass:word"},
        "certificate": {
            "client-certificate-data": encoded(chain.read_text(encoding="utf-8")),
            "client-key-data": encoded(key.read_text(encoding="utf-8")),
        },
        "certificate files": {"client-certificate": "chain.pem", "client-key": "key.pem"},
        "plugin": {"exec": plugin},
    }


KINDS = ("nobody", "token", "token file", "basic", "certificate", "certificate files", "plugin")


class Bench:
    """A TLS server that notes the name it was asked for, and a kubeconfig that leads to it."""

    def __init__(self, papers: Papers, folder: Path) -> None:
        self.papers = papers
        self.folder = folder
        self.names: list[str | None] = []

    def config(self, port: int, user: Tree, cluster: Tree, *, prefix: str = "") -> Path:
        settings = {"server": f"https://127.0.0.1:{port}{prefix}", **cluster}
        tree = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": settings}],
            "users": [{"name": "u", "user": user}],
        }
        path = self.folder / "config"
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")
        return path

    def note(self, _sock: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self.names.append(name)


@pytest.fixture
def bench(proper_papers: Papers, tmp_path: Path) -> Bench:
    return Bench(proper_papers, tmp_path)


def official(path: str, folder: Path, call: Callable[[Any], object]) -> None:
    """Let the official client make a call from this kubeconfig."""
    from kubernetes import client
    from kubernetes.config.kube_config import load_kube_config

    settings = client.Configuration()
    settings.retries = False
    load_kube_config(config_file=path, client_configuration=settings, persist_config=False, temp_file_path=str(folder))
    with client.ApiClient(settings) as api:
        call(api)


def ours(path: str, call: Callable[[Api], object]) -> None:
    with Api(load_cluster({**os.environ, "KUBECONFIG": path}), clock=RecordingClock(), pace=PACE) as api:
        call(api)


def core(api: Any) -> Any:
    from kubernetes import client

    return client.CoreV1Api(api)


def said(heard: Heard) -> tuple[object, ...]:
    """What a request says, but for what names the program that makes it."""
    body = json.loads(heard.body) if heard.body else None
    authorization = heard.header("authorization")
    return heard.method, heard.path, heard.query, authorization, heard.certificate, heard.header("host"), body


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_user_is_the_same_to_the_server(kind: str, bench: Bench) -> None:
    user = users(bench.papers, bench.folder)[kind]
    with ScriptedServer(reply(ANSWER), reply(ANSWER), tls=bench.papers.server) as server:
        path = str(bench.config(server.port, user, {"certificate-authority-data": encoded(bench.papers.authority)}))
        official(path, bench.folder, lambda api: core(api).list_namespaced_pod("alfred", label_selector="a=b"))
        ours(path, lambda api: api.list(PODS.all("alfred"), labels="a=b", until=LIMIT))
    theirs, our = server.heard
    assert said(our) == said(theirs)
    expected = {"nobody": "", "certificate": "", "certificate files": ""}
    assert bool(our.header("authorization")) is (kind not in expected)
    assert our.certificate == ("ann" if kind.startswith("certificate") else "")


CLUSTERS: dict[str, Callable[[Papers], Tree]] = {
    "name": lambda papers: {
        "certificate-authority-data": encoded(papers.authority),
        "tls-server-name": "kubernetes.test",
    },
    "file": lambda _: {"certificate-authority": "ca.pem"},
    "blind": lambda _: {"insecure-skip-tls-verify": True},
}


@pytest.mark.parametrize("kind", list(CLUSTERS))
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_the_same_cluster_is_trusted_and_named_the_same(kind: str, bench: Bench) -> None:
    (bench.folder / "ca.pem").write_text(bench.papers.authority, encoding="utf-8")
    context = bench.papers.server
    context.sni_callback = bench.note
    try:
        with ScriptedServer(reply(ANSWER), reply(ANSWER), tls=context) as server:
            cluster = CLUSTERS[kind](bench.papers)
            path = str(bench.config(server.port, {"token": "t"}, cluster, prefix="/k8s/clusters/c-1"))
            official(path, bench.folder, lambda api: core(api).read_namespaced_service("alfred-backend", "alfred"))
            ours(path, lambda api: api.get(SERVICES.one("alfred", "alfred-backend"), until=LIMIT))
    finally:
        context.sni_callback = None
    theirs, our = server.heard
    assert said(our) == said(theirs)
    assert our.path == "/k8s/clusters/c-1/api/v1/namespaces/alfred/services/alfred-backend"
    assert bench.names[0] == bench.names[1]


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("kind", ["stranger", "name"])
def test_whom_the_official_client_does_not_trust_we_do_not_trust(kind: str, bench: Bench) -> None:
    from kubernetes.client import ApiException

    from bluegreen.platforms.kubernetes.errors import NotKubernetes

    trusted = bench.papers.stranger if kind == "stranger" else bench.papers.authority
    cluster: Tree = {"certificate-authority-data": encoded(trusted)}
    if kind == "name":
        cluster["tls-server-name"] = "other.test"
    with ScriptedServer(tls=bench.papers.server) as server:
        path = str(bench.config(server.port, {}, cluster))
        with pytest.raises(ApiException, match="CERTIFICATE_VERIFY_FAILED"):
            official(path, bench.folder, lambda api: core(api).list_namespaced_pod("alfred"))
        with pytest.raises(NotKubernetes, match="is not trusted"):
            ours(path, lambda api: api.list(PODS.all("alfred"), until=LIMIT))
    assert server.heard == []


def test_writes_are_the_same(bench: Bench) -> None:
    """But for server-side apply, which the official client cannot send from here."""
    from kubernetes import client

    def theirs(api: Any) -> None:
        api.call_api(
            "/api/v1/namespaces/alfred/services/alfred-backend",
            "PATCH",
            query_params=[("dryRun", "All")],
            header_params={"Content-Type": "application/merge-patch+json"},
            body=PATCH,
            auth_settings=["BearerToken"],
        )
        client.AppsV1Api(api).patch_namespaced_deployment("alfred-backend-blue", "alfred", OPS)
        core(api).create_namespaced_config_map("alfred", {"metadata": {"name": "journal"}})

    def our(api: Api) -> None:
        service = SERVICES.one("alfred", "alfred-backend")
        api.merge_patch(service, PATCH, until=LIMIT, dry_run=True)
        api.json_patch(DEPLOYMENTS.one("alfred", "alfred-backend-blue"), OPS, until=LIMIT)
        api.create("/api/v1/namespaces/alfred/configmaps", {"metadata": {"name": "journal"}}, until=LIMIT)

    answer = reply(thing("a", 7))
    with ScriptedServer(*[answer] * 6, tls=bench.papers.server) as server:
        cluster: Tree = {"certificate-authority-data": encoded(bench.papers.authority)}
        path = str(bench.config(server.port, {"token": "t"}, cluster))
        official(path, bench.folder, theirs)
        ours(path, our)
    pairs = list(zip(server.heard[:3], server.heard[3:], strict=True))
    assert len(pairs) == 3
    for one, other in pairs:
        assert said(other) == said(one)
        assert other.header("content-type") == one.header("content-type")


def test_two_files_merge_the_same(bench: Bench) -> None:
    with ScriptedServer(reply(ANSWER), reply(ANSWER), tls=bench.papers.server) as server:
        cluster: Tree = {"certificate-authority-data": encoded(bench.papers.authority)}
        first = bench.config(server.port, {"token": "of-the-first"}, cluster)
        other = bench.folder / "other"
        other.write_text(
            first.read_text(encoding="utf-8").replace("of-the-first", "of-the-second").replace("alfred", "bertha"),
            encoding="utf-8",
        )
        both = f"{first}{os.pathsep}{other}"
        official(both, bench.folder, lambda api: core(api).list_namespaced_pod("alfred"))
        ours(both, lambda api: api.list(PODS.all("alfred"), until=LIMIT))
    theirs, our = server.heard
    assert said(our) == said(theirs)
    assert our.header("authorization") == "Bearer of-the-first"
