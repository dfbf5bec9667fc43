"""Commands of an account of the cluster, by a kubeconfig that is the content of KUBECONFIG, as a CI job has it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from testbed.places import API_ADDRESS, API_PORT

from bluegreen.platforms.kubernetes.rights import Rule
from harness import Commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_harness import ClusterStack

SERVER = f"https://{API_ADDRESS}:{API_PORT}"


class Account(Commands):
    """A stack as one of its ServiceAccounts sees it."""

    def __init__(self, stack: ClusterStack, name: str) -> None:
        """``name``: the ServiceAccount's."""
        self.stack = stack
        self.name = name
        self.folder = stack.folder
        self.token = stack.kubectl("create", "token", name, "--duration", "2h").strip()

    def kubeconfig(self, *, server: str = SERVER, token: str = "", authority: str = "", context: str = "test") -> str:
        """Its content. ``authority``: PEM, instead of the cluster's own."""
        trusted = authority or (self.stack.cluster.places.pki / "ca.crt").read_text()
        data = base64.b64encode(trusted.encode()).decode()
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": context,
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": self.name}}],
                "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": data}}],
                "users": [{"name": self.name, "user": {"token": token or self.token}}],
            }
        )

    def command(self, *words: str) -> list[str]:
        """As of the stack."""
        return self.stack.command(*words)

    def environment(self) -> dict[str, str]:
        """With the account's kubeconfig, and nothing of the administrator's."""
        return {**self.stack.environment(), "KUBECONFIG": self.kubeconfig()}

    def may(self, verb: str, what: str, *more: str) -> bool:
        """What the API server says of it now. ``what``: as ``kubectl auth can-i`` takes it."""
        who = f"system:serviceaccount:{self.stack.namespace}:{self.name}"
        words = ["-n", self.stack.namespace, "auth", "can-i", verb, what, *more, "--as", who]
        done = self.stack.cluster.run([self.stack.cluster.places.tools / "kubectl", *words])
        return done.stdout.strip() == "yes"


def role(name: str, rules: Sequence[Rule]) -> str:
    """A Role's manifest."""
    listed = [
        {
            "apiGroups": [rule.group],
            "resources": [rule.plural],
            "verbs": list(rule.verbs),
            **({"resourceNames": list(rule.objects)} if rule.objects else {}),
        }
        for rule in rules
        if rule.verbs
    ]
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
    return json.dumps({**kind, "metadata": {"name": name}, "rules": listed})


def rules_in(item: Any) -> list[Rule]:
    """The rules of a Role or ClusterRole, one for each resource, in the order of the one list."""
    return sorted(
        Rule(
            group=group,
            plural=plural,
            verbs=tuple(sorted(rule["verbs"])),
            objects=tuple(sorted(rule.get("resourceNames") or ())),
        )
        for rule in item["rules"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
    )
