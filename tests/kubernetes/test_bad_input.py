"""What a person may get wrong, against a real cluster: told before anything is written, in one line, with the mend.

What a scripted server shows as well is in tests/kubernetes_adapter/test_bad_input.py; here the cluster itself says no.
Secrets are planted in the token, in the values of variables and in annotations: none may be shown.
"""

from __future__ import annotations

import json
import re
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.account_kit import SERVER, Account
from tests.kubernetes.conftest import make_stack
from tests.kubernetes.kit import QUICK
from tests.kubernetes_transport.kit import Authority

from cluster_harness import CHART, ClusterStack, wait_until
from harness import images_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed.cluster import Cluster

    from harness import Done

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

CANARY = "canary-51c0ffee"
SECRETS = (
    f"backend.env.DATABASE_URL=postgres://ann:{CANARY}@db/alfred",
    f"gateway.env.SESSION_KEY={CANARY}",
)
DEPLOY = ("deploy", *images_of("first"), "--force")


class As(Account):
    """The releaser, with a kubeconfig that a test has made."""

    def __init__(self, account: Account, kubeconfig: str | None) -> None:
        """``kubeconfig``: None takes the variable away."""
        self.stack, self.name, self.folder, self.token = account.stack, account.name, account.folder, account.token
        self._given = kubeconfig

    def environment(self) -> dict[str, str]:
        """With that kubeconfig, and no home of anybody's."""
        found = {**self.stack.environment(), "HOME": str(self.folder)}
        found.pop("KUBECONFIG")
        return found if self._given is None else {**found, "KUBECONFIG": self._given}


@pytest.fixture(scope="module")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterStack]:
    """Alfred with the chart's accounts, and secrets in its pods and on its objects."""
    settings = (*QUICK, *SECRETS, "rbac.create=true", "rbac.seeNodes=true")
    made = make_stack(cluster, tmp_path_factory.mktemp("bad"), purpose="bad-input", settings=settings)
    kubectl_apply(made)
    yield made
    made.remove()
    everywhere = f"{made.namespace}-alfred-releaser"
    made.cluster.kubectl("delete", "clusterrole,clusterrolebinding", everywhere, "--ignore-not-found")


def kubectl_apply(stack: ClusterStack) -> None:
    """As who works with kubectl: whole objects, secrets and all, are in an annotation of theirs."""
    for service in ("backend", "gateway"):
        for slot in ("blue", "green"):
            found = stack.get("deployment", f"alfred-{service}-{slot}")
            found["metadata"] = {"name": found["metadata"]["name"], "labels": found["metadata"]["labels"]}
            del found["status"]
            stack.kubectl("apply", "-f", "-", stdin=json.dumps(found))


@pytest.fixture(scope="module")
def releaser(stack: ClusterStack) -> Account:
    return Account(stack, "alfred-releaser")


def told(done: Done, *, code: int, says: str, mend: str) -> None:
    """One line says what is wrong, one what to do; the exit code is right; no traceback, no secret."""
    shown = f"exit {done.code} after {done.seconds:.1f} s\n{done.out}\n{done.err}"
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert done.code == code, shown
    assert len(errors) == 1, shown
    assert re.search(says, errors[0]), shown
    assert mend in " ".join(done.err.partition(errors[0])[2].split()), shown
    for forbidden in ("Traceback", "has a fault", CANARY, "eyJ"):
        assert forbidden not in done.out + done.err, shown


def written(stack: ClusterStack) -> dict[str, Any]:
    """What a release would have changed, by kind and name."""
    items = stack.get("services,deployments,poddisruptionbudgets,configmaps")["items"]
    return {f"{item['kind']}/{item['metadata']['name']}": item.get("spec") or item.get("data") for item in items}


# --- who asks, and where ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a command asks, and what is said."""

    kubeconfig: Callable[[Account, Path], str | None] = lambda account, folder: account.kubeconfig()
    words: tuple[str, ...] = DEPLOY
    code: int
    says: str
    mend: str


def another_authority(account: Account, folder: Path) -> str:
    return account.kubeconfig(authority=Authority(folder, "another").pem)


ASKED = {
    "no kubeconfig": Asked(
        kubeconfig=lambda account, folder: None,
        code=2,
        says="no cluster is named: KUBECONFIG is not set",
        mend="set KUBECONFIG",
    ),
    "empty KUBECONFIG": Asked(
        kubeconfig=lambda account, folder: " ",
        code=2,
        says="KUBECONFIG is set but empty",
        mend="give the secret that fills it a value",
    ),
    "wrong context": Asked(
        words=("--context", "production", *DEPLOY),
        code=2,
        says="the kubeconfig has no context production",
        mend="there are: test",
    ),
    "unreachable server": Asked(
        kubeconfig=lambda account, folder: account.kubeconfig(server=SERVER.replace("6443", "6")),
        code=6,
        says="the API server at https://.* cannot be reached: Connection refused",
        mend="kubectl cluster-info",
    ),
    "a token that is not valid": Asked(
        kubeconfig=lambda account, folder: account.kubeconfig(token=f"{account.token[:-20]}{CANARY}"),
        code=6,
        says=r"the API server at https://.* does not accept the credentials \(401\)",
        mend="log in again, or give KUBECONFIG credentials that are valid",
    ),
    "wrong CA": Asked(
        kubeconfig=another_authority,
        code=6,
        says="the certificate of https://.* is not trusted",
        mend="compare certificate-authority-data",
    ),
    "malformed image": Asked(
        words=("deploy", "--backend-image", "alfredai/backend:v2:latest"),
        code=2,
        says="image 'alfredai/backend:v2:latest'",
        mend="write it as",
    ),
    "another namespace of somebody else": Asked(
        words=("--namespace", "kube-system", *DEPLOY),
        code=6,
        says=r"the account may not .* in namespace kube-system \(403\)",
        mend="-n kube-system",
    ),
    "a namespace that is not there, of which nobody may know": Asked(
        words=("--namespace", "nowhere", *DEPLOY),
        code=6,
        says=r"the account may not .* in namespace nowhere \(403\)",
        mend="-n nowhere",
    ),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_who_asks_and_where(stack: ClusterStack, releaser: Account, asked: Asked, tmp_path: Path) -> None:
    before = written(stack)
    told(
        As(releaser, asked.kubeconfig(releaser, tmp_path)).run(*asked.words),
        code=asked.code,
        says=asked.says,
        mend=asked.mend,
    )
    assert written(stack) == before


def test_a_token_of_an_account_that_is_gone(stack: ClusterStack, releaser: Account) -> None:
    """The closest to one that has run out: the shortest that an API server gives lives ten minutes."""
    stack.kubectl("create", "serviceaccount", "leaver")
    leaver = Account(stack, "leaver")
    stack.kubectl("delete", "serviceaccount", "leaver")
    told(leaver.run("status"), code=6, says=r"does not accept the credentials \(401\)", mend="log in again")


def test_a_namespace_that_is_missing_or_empty_as_an_administrator(stack: ClusterStack) -> None:
    missing = ClusterStack(stack.cluster, namespace=f"missing-{uuid.uuid4().hex[:6]}", folder=stack.folder)
    told(missing.run(*DEPLOY), code=6, says=f"there is no namespace {missing.namespace}", mend="--namespace")
    for words in ((*DEPLOY, "--dry-run"), ("status",), ("rollback",)):
        told(missing.run(*words), code=6, says=f"the cluster has no namespace {missing.namespace}", mend="--namespace")
    stack.cluster.kubectl("create", "namespace", missing.namespace)
    try:
        says = f"the stack alfred is not whole in namespace {missing.namespace}: there is no Service alfred-backend"
        told(
            missing.run(*DEPLOY),
            code=6,
            says=says,
            mend=f"helm upgrade --install alfred tools/helm/alfred -n {missing.namespace}",
        )
    finally:
        missing.remove()


# --- the state of the stack ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class State:
    """What the stack is in, how it gets there and back, and what is said."""

    make: Callable[[ClusterStack], object]
    undo: Callable[[ClusterStack], object]
    code: int = 2
    says: str
    mend: str


def merge(stack: ClusterStack, kind: str, name: str, patch: object) -> None:
    stack.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(patch))


def rolled_out(stack: ClusterStack, *names: str) -> None:
    for name in names:
        stack.kubectl("rollout", "status", f"deployment/{name}", "--timeout=90s")


def start_rollout(stack: ClusterStack) -> None:
    stack.kubectl("set", "image", "deployment/alfred-backend-blue", "backend=alfredai/backend:nowhere")
    wait_until(lambda: halfway(stack), what="a rollout that is on its way", limit=60)


def halfway(stack: ClusterStack) -> bool:
    status = stack.get("deployment", "alfred-backend-blue")["status"]
    return bool(status.get("updatedReplicas", 0) < status["replicas"])


def end_rollout(stack: ClusterStack) -> None:
    stack.kubectl("rollout", "undo", "deployment/alfred-backend-blue")
    rolled_out(stack, "alfred-backend-blue")


def no_room(stack: ClusterStack) -> None:
    """Only the template: its pods are not started anew, for the Deployment is paused meanwhile."""
    stack.kubectl("scale", "deployment/alfred-backend-green", "--replicas=0")
    set_request(stack, "900")


def set_request(stack: ClusterStack, cpu: str) -> None:
    container = {"name": "backend", "resources": {"requests": {"cpu": cpu}}}
    patch = json.dumps({"spec": {"template": {"spec": {"containers": [container]}}}})
    stack.kubectl("patch", "deployment", "alfred-backend-green", "-p", patch)


def room_again(stack: ClusterStack) -> None:
    set_request(stack, "50m")
    stack.kubectl("scale", "deployment/alfred-backend-green", "--replicas=2")
    rolled_out(stack, "alfred-backend-green")


def selector_of_nowhere(stack: ClusterStack, value: str | None) -> None:
    merge(
        stack,
        "deployment",
        "alfred-gateway-green",
        {"spec": {"template": {"spec": {"nodeSelector": {"place": value}}}}},
    )


def back_on_nodes(stack: ClusterStack) -> None:
    selector_of_nowhere(stack, None)
    rolled_out(stack, "alfred-gateway-green")


def small_quota(stack: ClusterStack) -> None:
    stack.kubectl("scale", "deployment/alfred-backend-green", "--replicas=0")
    wait_until(lambda: len(pods(stack, "alfred-backend", "green")) == 0, what="green to be empty", limit=120)
    there = len(stack.get("pods")["items"])
    stack.kubectl("create", "quota", "small", f"--hard=pods={there}")
    wait_until(
        lambda: stack.get("quota", "small").get("status", {}).get("used", {}).get("pods") == str(there),
        what="the quota to be counted",
        limit=60,
    )


def pods(stack: ClusterStack, app: str, slot: str) -> list[Any]:
    found: list[Any] = stack.get("pods", "-l", f"app={app},slot={slot}")["items"]
    return found


def no_quota(stack: ClusterStack) -> None:
    stack.kubectl("delete", "quota", "small")
    stack.kubectl("scale", "deployment/alfred-backend-green", "--replicas=2")
    rolled_out(stack, "alfred-backend-green")


def call_the_other(stack: ClusterStack) -> None:
    stack.kubectl("set", "env", "deployment/alfred-gateway-green", "BACKEND_URL=http://alfred-backend-blue:8000")


def call_its_own(stack: ClusterStack) -> None:
    stack.kubectl("set", "env", "deployment/alfred-gateway-green", "BACKEND_URL=http://alfred-backend-green:8000")
    rolled_out(stack, "alfred-gateway-green")


STATES = {
    "Deployment paused": State(
        make=lambda stack: stack.kubectl("rollout", "pause", "deployment/alfred-gateway-green"),
        undo=lambda stack: stack.kubectl("rollout", "resume", "deployment/alfred-gateway-green"),
        says="Deployment alfred-gateway-green is paused",
        mend="kubectl rollout resume deployment/alfred-gateway-green -n bad-input",
    ),
    "active slot in the middle of a rollout": State(
        make=start_rollout,
        undo=end_rollout,
        says="Deployment alfred-backend-blue, which serves, is in the middle of a rollout",
        mend="kubectl rollout status deployment/alfred-backend-blue -n bad-input",
    ),
    "a Deployment missing": State(
        make=lambda stack: stack.kubectl("delete", "deployment", "alfred-gateway-green"),
        undo=lambda stack: install_again(stack),
        says="there is no Deployment alfred-gateway-green in namespace bad-input",
        mend="helm upgrade --install alfred tools/helm/alfred -n bad-input",
    ),
    "a slot's own Service missing": State(
        make=lambda stack: stack.kubectl("delete", "service", "alfred-gateway-green"),
        undo=lambda stack: install_again(stack),
        code=6,
        says="the stack alfred is not whole in namespace bad-input-.*: there is no Service alfred-gateway-green$",
        mend="helm upgrade --install alfred tools/helm/alfred -n bad-input",
    ),
    "quota reached": State(
        make=small_quota,
        undo=no_quota,
        says=r"ResourceQuota small leaves no room for the second slot: pods would be \d+ of \d+",
        mend="kubectl describe quota small -n bad-input",
    ),
    "no node is large enough": State(
        make=no_room,
        undo=room_again,
        says="green beside blue does not fit the cluster: the nodes have room for 0 of 2 pods of alfred-backend",
        mend="kubectl describe nodes",
    ),
    "no node is the right one": State(
        make=lambda stack: selector_of_nowhere(stack, "nowhere"),
        undo=back_on_nodes,
        says="no node takes a pod of alfred-gateway: 2 not among those that its template selects",
        mend="kubectl describe nodes",
    ),
    "the slot would call the other one": State(
        make=call_the_other,
        undo=call_its_own,
        says="BACKEND_URL is the same in both slots of alfred-gateway",
        mend="BACKEND_URL=http://alfred-backend-green:8000",
    ),
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_the_state_of_the_stack(stack: ClusterStack, releaser: Account, state: State) -> None:
    with made_so(stack, state):
        before = written(stack)
        told(releaser.run(*DEPLOY), code=state.code, says=state.says, mend=state.mend)
        assert written(stack) == before
    assert releaser.must(*DEPLOY, "--dry-run").code == 0


@contextmanager
def made_so(stack: ClusterStack, state: State) -> Iterator[None]:
    assert stack.selector() == "blue"
    state.make(stack)
    try:
        yield
    finally:
        state.undo(stack)


def install_again(stack: ClusterStack) -> None:
    stack.run_helm("upgrade", "alfred", str(CHART), "--reuse-values")
    rolled_out(stack, "alfred-gateway-green")


# --- what the cluster's own rules say -----------------------------------------------------------------------------


@pytest.fixture
def only_signed(stack: ClusterStack) -> Iterator[str]:
    """A ValidatingAdmissionPolicy, as a cluster's owner writes it: no image tagged ``unsigned`` in this namespace."""
    name = f"{stack.namespace}-signed"
    rule = "object.spec.template.spec.containers.all(c, !c.image.endsWith(':unsigned'))"
    api = "admissionregistration.k8s.io/v1"
    matches = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stack.namespace}},
        "resourceRules": [
            {
                "apiGroups": ["apps"],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["deployments"],
            }
        ],
    }
    policy = {
        "apiVersion": api,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": matches,
            "validations": [{"expression": rule, "message": "only signed images may run here"}],
        },
    }
    binding = {
        "apiVersion": api,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    stack.cluster.kubectl(
        "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, binding]})
    )
    yield name
    stack.cluster.kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name)


def test_what_admission_refuses_is_told_before_anything_is_written(
    stack: ClusterStack, releaser: Account, only_signed: str
) -> None:
    words = ("deploy", "--backend-image", "alfredai/backend:unsigned")
    wait_until(lambda: refused_dry(stack), what="the policy to be in force", limit=60)
    before = written(stack)
    says = "would refuse the change of Deployment alfred-backend-green: .*only signed images may run here"
    told(releaser.run(*words), code=2, says=says, mend="mend what it says")
    assert written(stack) == before


def refused_dry(stack: ClusterStack) -> bool:
    tools = stack.cluster.places.tools
    words = ["set", "image", "deployment/alfred-backend-green", "backend=alfredai/backend:unsigned", "--dry-run=server"]
    return stack.cluster.run([tools / "kubectl", "-n", stack.namespace, *words]).returncode != 0


# --- what is allowed shows no secret either -----------------------------------------------------------------------


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_plan_shows_no_secret(stack: ClusterStack, releaser: Account, output: str) -> None:
    done = releaser.must(*DEPLOY, "--dry-run", output=output)
    assert CANARY not in done.out + done.err
    assert releaser.token not in done.out + done.err
    annotation = stack.get("deployment", "alfred-backend-green")["metadata"]["annotations"]
    assert CANARY in annotation["kubectl.kubernetes.io/last-applied-configuration"], "no secret was planted"
