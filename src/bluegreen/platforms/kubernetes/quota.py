"""Whether the namespace's quotas leave room for a slot: pure arithmetic on what is used and what is added."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.objects import meta_of
from bluegreen.platforms.kubernetes.quantity import Amounts, amounts, asked, plus, quantity, shown, times
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.room import Need

_PLAIN = frozenset({"cpu", "memory", "ephemeral-storage"})
_ALWAYS_OURS = frozenset({"NotTerminating"})
"""Scopes that a Deployment's pods are always in."""


def quota_findings(
    quotas: Iterable[Json], *, needs: Sequence[Need], freed: Sequence[Need], namespace: str
) -> Iterator[Finding]:
    """What the quotas will refuse. ``needs``: the pods to come; ``freed``: those that go before them."""
    added = _counted(needs)
    for name, amount in _counted(freed).items():
        added[name] = added.get(name, Fraction(0)) - amount
    for item in quotas:
        yield from _of_quota(item, added, namespace=namespace)


def _counted(needs: Sequence[Need]) -> Amounts:
    """In a quota's own words."""
    return plus(*(times(_of_pod(need), need.pods) for need in needs))


def _of_pod(need: Need) -> Amounts:
    requests = asked(need.spec)
    found: Amounts = {"pods": Fraction(1), "count/pods": Fraction(1)}
    found |= {name: amount for name, amount in requests.items() if name in _PLAIN}
    found |= {f"requests.{name}": amount for name, amount in requests.items()}
    return found | {f"limits.{name}": amount for name, amount in asked(need.spec, "limits").items()}


def _of_quota(item: Json, added: Amounts, *, namespace: str) -> Iterator[Finding]:
    node, name = Node(item), meta_of(item).name
    scopes = set(node.at("spec", "scopes").texts())
    if scopes - _ALWAYS_OURS or node.at("spec", "scopeSelector"):
        yield Finding(
            severity=Severity.NOTE,
            text=f"ResourceQuota {name} is for some pods only: whether it leaves room for the second slot is not known",
        )
        return
    used = amounts(node.at("status", "used"))
    hard = node.at("status", "hard")
    over = [
        f"{resource} would be {shown(resource, total)} of {hard.at(resource).either()}"
        for resource in hard.mapping()
        if (more := added.get(resource, Fraction(0))) > 0
        and (total := used.get(resource, Fraction(0)) + more) > quantity(hard.at(resource).either())
    ]
    if over:
        yield Finding(
            severity=Severity.REFUSE,
            text=f"ResourceQuota {name} leaves no room for the second slot: {', '.join(over)}",
            mend=f"raise it, or make room; kubectl describe quota {name} -n {namespace} shows what is used",
        )
