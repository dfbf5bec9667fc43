"""An API server's answers to who may do what, from the rules of a Role: enough of RBAC to ask it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.kubernetes_transport.server import reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.kubernetes_transport.server import Conversation

    from bluegreen.platforms.kubernetes.rights import Rule


@dataclass
class Reviewer:
    """Answers both kinds of reviews, and remembers what it was asked."""

    rules: Sequence[Rule]
    everywhere: Sequence[Rule] = ()
    silent: bool = False
    """As an authorizer that cannot list what it allows: the rules are empty and incomplete."""
    asked: list[str] = field(default_factory=list)

    def answer(self, conversation: Conversation) -> bool:
        """Whether it was a review."""
        path, body = conversation.heard.path, conversation.heard.body
        if path.endswith("/selfsubjectrulesreviews"):
            self.asked.append("rules")
            found = [] if self.silent else [_listed(rule) for rule in self.rules]
            status = {"resourceRules": found, "nonResourceRules": [], "incomplete": self.silent}
            reply({"kind": "SelfSubjectRulesReview", "status": status}, status=201)(conversation)
            return True
        if path.endswith("/selfsubjectreviews"):
            self.asked.append("self")
            status = {"userInfo": {"username": "ann", "groups": ["system:authenticated"]}}
            reply({"kind": "SelfSubjectReview", "status": status}, status=201)(conversation)
            return True
        if path.endswith("/selfsubjectaccessreviews") and body:
            self._access(conversation)
            return True
        return False

    def _access(self, conversation: Conversation) -> None:
        spec: Any = conversation.heard.json
        wanted = spec["spec"]["resourceAttributes"]
        self.asked.append(f"{wanted['verb']} {wanted['resource']}")
        rules = [*self.everywhere, *(self.rules if wanted.get("namespace") else ())]
        allowed = any(_covers(rule, wanted) for rule in rules)
        reply({"kind": "SelfSubjectAccessReview", "status": {"allowed": allowed}}, status=201)(conversation)


def _listed(rule: Rule) -> dict[str, object]:
    return {
        "verbs": list(rule.verbs),
        "apiGroups": [rule.group],
        "resources": [rule.plural],
        **({"resourceNames": list(rule.objects)} if rule.objects else {}),
    }


def _covers(rule: Rule, wanted: dict[str, str]) -> bool:
    part = wanted.get("subresource", "")
    plural = f"{wanted['resource']}/{part}" if part else wanted["resource"]
    return (
        wanted["verb"] in rule.verbs
        and rule.group in {"*", wanted.get("group", "")}
        and rule.plural in {"*", plural}
        and (not rule.objects or wanted.get("name") in rule.objects)
    )


def without(rules: Iterable[Rule], *, plural: str, verb: str, name: str = "") -> list[Rule]:
    """The rules, but for one verb of a resource: of one object, or of those rules that name none."""
    found = []
    for rule in rules:
        if rule.plural != plural or verb not in rule.verbs or (name not in rule.objects and (name or rule.objects)):
            found.append(rule)
            continue
        verbs = tuple(one for one in rule.verbs if one != verb)
        objects = tuple(one for one in rule.objects if one != name)
        found.append(type(rule)(group=rule.group, plural=rule.plural, verbs=verbs, objects=rule.objects))
        if objects:
            found.append(type(rule)(group=rule.group, plural=rule.plural, verbs=(verb,), objects=objects))
    return found
