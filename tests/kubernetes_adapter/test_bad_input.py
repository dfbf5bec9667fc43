"""What a person may get wrong with Kubernetes, by command line: one line, a mend, its exit code, nothing written.

The server is a scripted one, which takes no write but dry ones. Secrets are planted everywhere: in the token, the
kubeconfig, the values of variables, annotations and what the server says. None may be shown. The same against a real
cluster is in tests/kubernetes/test_bad_input.py.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes_adapter.alfred_kit import CANARY, Namespace
from tests.kubernetes_adapter.authority_kit import without
from tests.kubernetes_adapter.cluster_kit import Served, node
from tests.kubernetes_transport.conftest import Papers, papers_of
from tests.kubernetes_transport.kit import Authority
from tests.kubernetes_transport.server import ScriptedServer, page, refuse

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

IMAGES = ("--backend-image", "alfredai/backend:v2", "--gateway-image", "alfredai/gateway:v2")
DEPLOY = ("deploy", *IMAGES, "--dry-run")
AT_ONCE = 20.0
"""Seconds in which a command has to refuse, on a machine that is busy; most need a third of one, and a server that is
not there is given 5."""
ENCODED = base64.b64encode(CANARY.encode()).decode().rstrip("=")[:10]


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a command runs, and what its kubeconfig says."""

    folder: Path
    port: int
    authority: str = ""
    """PEM; empty: plain HTTP."""

    def kubeconfig(self, *, server: str = "", context: str = "here", **user: str) -> str:
        """Its content. ``user``: instead of the token."""
        cluster = {"server": server or f"{'https' if self.authority else 'http'}://127.0.0.1:{self.port}"}
        if self.authority:
            cluster["certificate-authority-data"] = base64.b64encode(self.authority.encode()).decode()
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": context,
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": user or {"token": f"token-{CANARY}"}}],
            }
        )

    def environment(self, kubeconfig: str | None) -> dict[str, str]:
        """Nothing of this machine's own cluster. None: KUBECONFIG is not set."""
        mine = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "LANG"}}
        given = {} if kubeconfig is None else {"KUBECONFIG": kubeconfig}
        return {**mine, "HOME": str(self.folder), "TMPDIR": str(self.folder), "NO_COLOR": "1", **given}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is wrong, and what is said."""

    code: int
    says: str
    mend: str
    words: tuple[str, ...] = DEPLOY
    wrong: Callable[[Served], object] = lambda served: None
    """In the cluster."""
    kubeconfig: Callable[[Site], str | None] = Site.kubeconfig
    heard: bool = True
    """Whether the server is asked at all."""


def missing_right(served: Served) -> None:
    served.reviewer.rules = without(served.reviewer.rules, plural="services", verb="patch", name="alfred-gateway")


def first_look_forbidden(served: Served) -> None:
    """A 403 is not "missing": whether the namespace is there, nobody may know."""
    no = 'services "alfred-backend" is forbidden: User "ci" cannot get resource "services" in API group ""'
    served.instead = {"GET services/alfred-backend": [refuse(403, "Forbidden", no)]}


def empty(served: Served) -> None:
    served.there = Namespace()
    served.there.services.clear()
    served.there.deployments.clear()


def no_namespace(served: Served) -> None:
    empty(served)
    served.instead = {"GET /namespaces/alfred": [refuse(404, "NotFound", 'namespaces "alfred" not found')]}


def no_namespace_to_be_seen(served: Served) -> None:
    empty(served)
    no = 'namespaces "alfred" is forbidden: User "ci" cannot get resource "namespaces" in API group ""'
    served.instead = {"GET /namespaces/alfred": [refuse(403, "Forbidden", no)]}


def mid_rollout(served: Served) -> None:
    served.there.deployments["alfred-backend-blue"]["status"] |= {"replicas": 3, "updatedReplicas": 1}


def full_quota(served: Served) -> None:
    hard = {"pods": "8"}
    spec = {"metadata": {"name": "small"}, "spec": {"hard": hard}, "status": {"hard": hard, "used": {"pods": "8"}}}
    served.quotas.append(spec)
    for name in ("alfred-backend-green", "alfred-gateway-green"):
        served.there.deployments[name]["status"]["replicas"] = 0


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


CASES = {
    "no kubeconfig": Case(
        code=2,
        says="no cluster is named: KUBECONFIG is not set, and .*/.kube/config does not exist",
        mend="set KUBECONFIG to a kubeconfig's path, or to its content",
        kubeconfig=lambda site: None,
        heard=False,
    ),
    "empty KUBECONFIG": Case(
        code=2,
        says="KUBECONFIG is set but empty",
        mend="give the secret that fills it a value",
        kubeconfig=lambda site: "",
        heard=False,
    ),
    "KUBECONFIG names no file": Case(
        code=2,
        says="KUBECONFIG: there is no file /nowhere/config",
        mend="check the path",
        kubeconfig=lambda site: "/nowhere/config",
        heard=False,
    ),
    "KUBECONFIG is a secret of another kind": Case(
        code=2,
        says="KUBECONFIG: there is no file \\(of a name of 38 characters, which is not shown\\)",
        mend="content",
        kubeconfig=lambda site: f"token-{CANARY}".ljust(38, "x"),
        heard=False,
    ),
    "KUBECONFIG is no kubeconfig": Case(
        code=2,
        says="KUBECONFIG: this is not a kubeconfig",
        mend="kubectl config view",
        kubeconfig=lambda site: f"- token\n- {CANARY}\n",
        heard=False,
    ),
    "KUBECONFIG is broken": Case(
        code=2,
        says="KUBECONFIG:2: this is not YAML",
        mend="kubectl config view",
        kubeconfig=lambda site: f'apiVersion: v1\ntoken: "{CANARY}\n',
        heard=False,
    ),
    "wrong context": Case(
        code=2,
        says="the kubeconfig has no context production",
        mend="there are: here",
        words=("--context", "production", *DEPLOY),
        heard=False,
    ),
    "no current context": Case(
        code=2,
        says="the kubeconfig has no current-context",
        mend="name one with --context; there are: here",
        kubeconfig=lambda site: site.kubeconfig(context=""),
        heard=False,
    ),
    "unreachable server": Case(
        code=6,
        says=r"the API server at http://127\.0\.0\.1:\d+ cannot be reached: Connection refused",
        mend="kubectl cluster-info",
        kubeconfig=lambda site: site.kubeconfig(server=f"http://127.0.0.1:{closed_port()}"),
        heard=False,
    ),
    "not a Kubernetes server": Case(
        code=6,
        says="answered 404, which is not an answer of the Kubernetes API",
        mend="check the server's address in KUBECONFIG",
        wrong=lambda s: s.instead.update({"GET ": [page(404, f"<html>{CANARY}</html>")]}),
    ),
    "expired token": Case(
        code=6,
        says=r"the API server at http://127\.0\.0\.1:\d+ does not accept the credentials \(401\)",
        mend="log in again, or give KUBECONFIG credentials that are valid",
        wrong=lambda s: s.instead.update({"GET ": [refuse(401, "Unauthorized", "Unauthorized")] * 9}),
    ),
    "namespace missing": Case(
        code=6,
        says="the cluster has no namespace alfred",
        mend="--namespace, or the right cluster with --context",
        wrong=no_namespace,
    ),
    "a namespace that may not be looked at is not missing": Case(
        code=6,
        says="the stack alfred is not whole in namespace alfred: there is no Service alfred-backend, alfred-gateway",
        mend="helm upgrade --install alfred",
        wrong=no_namespace_to_be_seen,
    ),
    "nothing may be seen": Case(
        code=6,
        says=r"the account may not get services in namespace alfred \(403\)",
        mend="kubectl auth can-i get services/alfred-backend -n alfred",
        wrong=first_look_forbidden,
    ),
    "chart not installed": Case(
        code=6,
        says="the stack alfred is not whole in namespace alfred: there is no Service alfred-backend, alfred-gateway",
        mend="install the stack's chart, or name the right --namespace: helm upgrade --install alfred",
        wrong=empty,
    ),
    "chart not whole": Case(
        code=6,
        says="the stack alfred is not whole in namespace alfred: there is no Service alfred-gateway-green$",
        mend="helm upgrade --install alfred",
        wrong=lambda s: s.there.services.pop("alfred-gateway-green"),
    ),
    "one right missing": Case(
        code=6,
        says=r"ann lacks a right in namespace alfred: patch services alfred-gateway \(to switch users",
        mend="kubectl auth can-i patch services/alfred-gateway -n alfred",
        wrong=missing_right,
    ),
    "malformed image": Case(
        code=2,
        says="image 'alfredai/backend:v 2': the tag 'v 2' is not a tag",
        mend="write it as",
        words=("deploy", "--backend-image", "alfredai/backend:v 2", "--dry-run"),
        heard=False,
    ),
    "cluster too old": Case(
        code=6,
        says=r"the cluster is Kubernetes 1\.27; 1\.30 is the oldest that is supported",
        mend="update the cluster",
        wrong=lambda s: s.version.update(minor="27"),
    ),
    "Deployment paused": Case(
        code=2,
        says="Deployment alfred-gateway-green is paused",
        mend="kubectl rollout resume deployment/alfred-gateway-green -n alfred",
        wrong=lambda s: s.there.deployments["alfred-gateway-green"]["spec"].update(paused=True),
    ),
    "active slot in the middle of a rollout": Case(
        code=2,
        says="Deployment alfred-backend-blue, which serves, is in the middle of a rollout",
        mend="kubectl rollout status deployment/alfred-backend-blue -n alfred",
        wrong=mid_rollout,
    ),
    "quota reached": Case(
        code=2,
        says="ResourceQuota small leaves no room for the second slot: pods would be 12 of 8",
        mend="kubectl describe quota small -n alfred",
        wrong=full_quota,
    ),
    "nothing schedulable": Case(
        code=2,
        says="green beside blue does not fit the cluster: no node takes a pod of alfred-backend: 1 cordoned",
        mend="kubectl describe nodes",
        wrong=lambda s: setattr(s, "nodes", [node("n1", unschedulable=True)]),
    ),
    "admission refuses": Case(
        code=2,
        says="the cluster would refuse the change of Deployment alfred-backend-green: denied: not signed",
        mend="whoever made the rule",
        wrong=lambda s: s.instead.update(
            {"PATCH alfred-backend-green": [refuse(403, "Forbidden", "denied: not signed")]}
        ),
    ),
    "several things at once": Case(
        code=2,
        says="Deployment alfred-backend-green is paused.*; Deployment alfred-gateway-green is paused",
        mend="kubectl rollout resume deployment/alfred-backend-green -n alfred",
        wrong=lambda s: [
            s.there.deployments[f"alfred-{name}-green"]["spec"].update(paused=True) for name in ("backend", "gateway")
        ],
    ),
    "status without a namespace": Case(
        code=6,
        says="the cluster has no namespace alfred",
        mend="--namespace",
        words=("status",),
        wrong=no_namespace,
    ),
    "rollback with an expired token": Case(
        code=6,
        says=r"does not accept the credentials \(401\)",
        mend="log in again",
        words=("rollback",),
        wrong=lambda s: s.instead.update({"GET ": [refuse(401, "Unauthorized", "Unauthorized")] * 9}),
    ),
}


TO_PROGRAMS = ("empty KUBECONFIG", "expired token", "one right missing", "quota reached")
"""Of each kind of refusal one; the words are the same."""
RUNS = [(name, "text") for name in CASES] + [(name, "json") for name in TO_PROGRAMS]


@pytest.mark.parametrize(("name", "output"), RUNS, ids=[f"{name}-{output}" for name, output in RUNS])
def test_bad_input(name: str, output: str, tmp_path: Path) -> None:
    case = CASES[name]
    served = Served()
    case.wrong(served)
    with ScriptedServer(*[served.step] * 500) as server:
        site = Site(folder=tmp_path, port=server.port)
        told(case, run(site, case, output=output), output=output)
        assert bool(server.heard) == case.heard
    assert nothing_was_written(served)
    assert not list(tmp_path.rglob("*bluegreen*")), "a report of a fault was written"


def run(site: Site, case: Case, *, output: str) -> tuple[subprocess.CompletedProcess[str], float]:
    words = [sys.executable, "-m", "bluegreen", "--platform", "kubernetes", "--output", output, *case.words]
    began = time.monotonic()
    done = subprocess.run(
        words,
        env=site.environment(case.kubeconfig(site)),
        cwd=site.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done, time.monotonic() - began


def told(case: Case, ran: tuple[subprocess.CompletedProcess[str], float], *, output: str) -> None:
    """One line says what is wrong, one what to do; the exit code is right; no traceback, no secret, in a moment."""
    done, seconds = ran
    shown = f"exit {done.returncode} after {seconds:.1f} s\n{done.stdout}\n{done.stderr}"
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == case.code, shown
    assert len(errors) == 1, shown
    assert re.search(case.says, errors[0]), shown
    assert case.mend in " ".join(done.stderr.partition(errors[0])[2].split()), shown
    for forbidden in ("Traceback", "has a fault", CANARY, ENCODED):
        assert forbidden not in done.stdout + done.stderr, shown
    assert seconds < AT_ONCE, shown
    if output == "json":
        last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert (last["event"], last["exit_code"]) == ("error", case.code), shown
        assert case.mend in last["mend"], shown


def nothing_was_written(served: Served) -> bool:
    """The server itself asserts that every write it takes is dry; a step that fails ends its connection."""
    return all(name.startswith("alfred-") for name, _ in served.written)


# --- the certificate ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wrong_papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return papers_of(
        Authority(tmp_path_factory.mktemp("ca"), "cluster"), Authority(tmp_path_factory.mktemp("other"), "stranger")
    )


@dataclass(frozen=True, kw_only=True)
class WrongPaper:
    """Who is not trusted."""

    tls: Callable[[Papers], ssl.SSLContext]
    says: str
    mend: str
    port: Callable[[int], str] = field(default=lambda port: f"https://127.0.0.1:{port}")


WRONG_PAPERS = {
    "wrong CA": WrongPaper(
        tls=lambda papers: papers.server_of_stranger,
        says=r"the certificate of https://127\.0\.0\.1:\d+ is not trusted",
        mend="compare certificate-authority-data and tls-server-name in the kubeconfig",
    ),
    "another name": WrongPaper(
        tls=lambda papers: papers.server,
        says="is not trusted",
        mend="tls-server-name",
        port=lambda port: f"https://localhost:{port}",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_PAPERS.values(), ids=WRONG_PAPERS.keys())
def test_a_server_that_is_not_the_one(wrong: WrongPaper, wrong_papers: Papers, tmp_path: Path) -> None:
    served = Served()
    with ScriptedServer(*[served.step] * 9, tls=wrong.tls(wrong_papers)) as server:
        site = Site(folder=tmp_path, port=server.port, authority=wrong_papers.authority)
        where = wrong.port(server.port)
        case = Case(code=6, says=wrong.says, mend=wrong.mend, kubeconfig=lambda site: site.kubeconfig(server=where))
        told(case, run(site, case, output="text"), output="text")
        assert server.heard == [], "it was sent a request, and with it the token"


# --- what is allowed shows no secret either -----------------------------------------------------------------------


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_plan_shows_no_secret(output: str, tmp_path: Path) -> None:
    """Both slots differ in their secrets, so the plan has to say something about them."""
    served = Served()
    variables = served.there.container("alfred-backend-green")["env"]
    variables[0]["value"] = f"other-{CANARY}"
    variables.append({"name": "DATABASE_URL", "value": f"postgres://ann:{CANARY}@db/alfred"})
    variables.append({"name": "PLAIN", "value": "shown"})
    with ScriptedServer(*[served.step] * 500) as server:
        site = Site(folder=tmp_path, port=server.port)
        done, _ = run(site, Case(code=0, says="", mend=""), output=output)
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    assert CANARY not in shown
    assert ENCODED not in shown
    assert "DB_PASSWORD" in shown
    assert "DATABASE_URL" in shown
    assert "PLAIN: (not set) -> shown" in " ".join(shown.split())
