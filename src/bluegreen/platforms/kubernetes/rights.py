"""The rights that a release needs, and those that it can do without: the one list of them.

The chart's Roles are made equal to it, and the preflight asks the API server for each. It decides what is lost without
a right; it does not decide what an account has.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bluegreen.domain.stack import HttpCheck
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import Refused, clean, question_of
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.resources import ACCESS_REVIEWS, RULES_REVIEWS, SELF_REVIEWS
from bluegreen.ports import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.domain.stack import Instant, Stack
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.transport import Api


class Of(StrEnum):
    """Which objects a right is about. A Role names them where the API allows it: not for list, watch and create."""

    ANY = "any"
    SERVICES = "services"
    """Users' Services."""
    WORKLOADS = "workloads"
    """The Deployments of both slots."""
    BUDGETS = "budgets"
    LEASE = "lease"
    NAMESPACE = "namespace"
    """The stack's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Some verbs of one resource, and what they are for."""

    verbs: tuple[str, ...]
    resource: str
    """With its group and its part: ``deployments.apps``, ``pods/log``."""
    why: str
    """Ends ``needed to ...``."""
    of: Of = Of.ANY
    everywhere: bool = False
    """In all namespaces, or of what has none: a ClusterRole's."""
    reading: bool = False
    """Whether who only looks has it as well."""
    lacking: Severity = Severity.REFUSE
    """What it means for a release when it is missing."""
    lost: str = ""
    """What is missing without it, when a release can do without."""

    @property
    def group(self) -> str:
        """The API group; empty: the core's."""
        return self.resource.partition("/")[0].partition(".")[2]

    @property
    def plural(self) -> str:
        """As a Role has it: ``pods/log``, ``deployments``."""
        whole, slash, part = self.resource.partition("/")
        return f"{whole.partition('.')[0]}{slash}{part}"

    def objects(self, *, stack: Stack, namespace: str) -> tuple[str, ...]:
        """The names of the objects it is about; empty: any."""
        match self.of:
            case Of.SERVICES:
                return tuple(marks.users for marks in names.marks_of_all(stack))
            case Of.WORKLOADS:
                return tuple(name for marks in names.marks_of_all(stack) for _, name in marks.workloads)
            case Of.BUDGETS:
                return tuple(marks.budget for marks in names.marks_of_all(stack) if marks.budget)
            case Of.LEASE:
                return (names.lease(stack),)
            case Of.NAMESPACE:
                return (namespace,)
            case _:
                return ()


_READING = (
    Right(verbs=("get", "list", "watch"), resource="services", why="see which slot users are sent to", reading=True),
    Right(verbs=("get", "list", "watch"), resource="deployments.apps", why="see what each slot runs", reading=True),
    Right(verbs=("list", "watch"), resource="pods", why="see which pods are ready, and why not", reading=True),
    Right(
        verbs=("list", "watch"),
        resource="endpointslices.discovery.k8s.io",
        why="see where requests are really sent",
        reading=True,
    ),
    Right(verbs=("get", "list", "watch"), resource="leases.coordination.k8s.io", why="see who releases", reading=True),
    Right(verbs=("get", "list"), resource="configmaps", why="read the journals of earlier releases", reading=True),
    Right(
        verbs=("get",),
        resource="namespaces",
        why="tell a namespace that is missing from one that is empty",
        of=Of.NAMESPACE,
        reading=True,
        lacking=Severity.NOTE,
        lost="a namespace that is missing or about to be deleted cannot be told from an empty one",
    ),
    Right(
        verbs=("get",),
        resource="pods/log",
        why="show the last log lines of what failed",
        reading=True,
        lacking=Severity.NOTE,
        lost="the log of a container that fails is not shown",
    ),
    Right(
        verbs=("list", "watch"),
        resource="events",
        why="know and show what the cluster says of pods that do not start",
        reading=True,
        lacking=Severity.NOTE,
        lost="a volume, a network or a node as the cause is not told before the limit",
    ),
)

_RELEASING = (
    Right(verbs=("get", "list"), resource="poddisruptionbudgets.policy", why="see what protects the slot that serves"),
    Right(verbs=("list",), resource="replicasets.apps", why="put back the settings that a slot had before"),
    Right(
        verbs=("list",),
        resource="horizontalpodautoscalers.autoscaling",
        why="see who else decides a slot's size",
        lacking=Severity.WARN,
        lost="an autoscaler of the idle slot is not seen, and may make it smaller than the slot that serves",
    ),
    Right(verbs=("patch",), resource="services", why="switch users between the slots", of=Of.SERVICES),
    Right(verbs=("patch",), resource="deployments.apps", why="bring a new version to a slot", of=Of.WORKLOADS),
    Right(
        verbs=("patch",),
        resource="poddisruptionbudgets.policy",
        why="protect both slots while users move",
        of=Of.BUDGETS,
    ),
    Right(verbs=("create",), resource="leases.coordination.k8s.io", why="take the lock for the first time"),
    Right(verbs=("patch",), resource="leases.coordination.k8s.io", why="take and renew the lock", of=Of.LEASE),
    Right(verbs=("create", "patch"), resource="configmaps", why="write the journal before each step"),
    Right(
        verbs=("delete",),
        resource="configmaps",
        why="remove the journals of old releases",
        lacking=Severity.NOTE,
        lost="the journals of old releases stay",
    ),
    Right(
        verbs=("get",),
        resource="pods/proxy",
        why="ask the pods for checks and metrics",
        lacking=Severity.WARN,
        lost="pods cannot be asked through the API server: only readiness is validated, and no metric is read",
    ),
    Right(
        verbs=("get",),
        resource="services/proxy",
        why="ask a slot by its own address before the switch",
        lacking=Severity.WARN,
        lost="the slots' own addresses are not asked through the API server before the switch",
    ),
    Right(
        verbs=("patch",),
        resource="horizontalpodautoscalers.autoscaling",
        why="keep the idle slot at the size of the one that serves",
        lacking=Severity.NOTE,
        lost="an autoscaler's least size cannot be raised for the release",
    ),
    Right(
        verbs=("create",),
        resource="deployments.apps",
        why="make a slot's Deployment where the chart leaves it to the pipeline",
        lacking=Severity.NOTE,
        lost="a Deployment that is missing cannot be made from the chart's PodTemplate",
    ),
    Right(
        verbs=("get", "list"),
        resource="podtemplates",
        why="make a slot's Deployment where the chart leaves it to the pipeline",
        lacking=Severity.NOTE,
        lost="a Deployment that is missing cannot be made from the chart's PodTemplate",
    ),
    Right(
        verbs=("create",),
        resource="events",
        why="tell the release's story to kubectl describe",
        lacking=Severity.NOTE,
        lost="kubectl describe does not show the release",
    ),
    Right(
        verbs=("list",),
        resource="resourcequotas",
        why="see whether a quota leaves room for the second slot",
        lacking=Severity.NOTE,
        lost="a quota that leaves no room for the second slot is noticed only when its pods are refused",
    ),
)

_EVERYWHERE = tuple(
    Right(
        verbs=("list",),
        resource=resource,
        why="see whether the nodes have room for the second slot",
        everywhere=True,
        lacking=Severity.NOTE,
        lost="whether the nodes have room for the second slot is not known before its pods are placed",
    )
    for resource in ("nodes", "pods")
)

POSTING = tuple(
    Right(
        verbs=("create",),
        resource=resource,
        why="make the app file's checks that POST",
        lacking=Severity.WARN,
        lost=f"checks that POST are not made {where}",
    )
    for resource, where in (("pods/proxy", "on the pods"), ("services/proxy", "at the slots' own addresses"))
)
"""What only a stack needs whose app file has a check with ``method: POST``: the API server takes a POST through a proxy
for the creation of one."""

_MANY = 3
"""Of rights, from which on a message is a list."""

RIGHTS = _READING + _RELEASING + _EVERYWHERE
"""All of them: whoever releases has them."""


def rights_of(stack: Stack) -> tuple[Right, ...]:
    """Those that releasing this stack needs: all of them, and what its own checks take."""
    posts = any(isinstance(check, HttpCheck) and check.method == "POST" for check in stack.checks)
    return RIGHTS + POSTING if posts else RIGHTS


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Rule:
    """One rule of a Role or a ClusterRole."""

    group: str
    plural: str
    verbs: tuple[str, ...]
    objects: tuple[str, ...] = ()
    """Empty: any."""


def rules(rights: Sequence[Right], *, stack: Stack, namespace: str) -> tuple[Rule, ...]:
    """The rights as the rules that give them and nothing else; what is about the same objects is one rule."""
    merged: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
    for right in rights:
        objects = tuple(sorted(right.objects(stack=stack, namespace=namespace)))
        if objects or right.of is Of.ANY:  # a rule without names would be about those of others
            merged.setdefault((right.group, right.plural, objects), set()).update(right.verbs)
    found = (
        Rule(group=group, plural=plural, verbs=tuple(sorted(verbs)), objects=objects)
        for (group, plural, objects), verbs in merged.items()
    )
    return tuple(sorted(found))


# --- what the account has ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """One verb that the account has not."""

    right: Right
    verb: str
    object: str = ""
    """The object's name; empty: any."""
    namespace: str = ""
    """Empty: in all of them."""

    def __str__(self) -> str:
        """``patch services alfred-backend``."""
        return " ".join(part for part in (self.verb, self.right.resource, self.object) if part)

    @property
    def question(self) -> str:
        """The command that asks whether the account has it now."""
        return question_of(self.verb, self.right.resource, name=self.object, namespace=self.namespace)


def told(lacks: Sequence[Lack]) -> str:
    """For the screen: verbs and objects of one right together; what they are for, where there are few."""
    rights = list(dict.fromkeys(lack.right for lack in lacks))
    return "; ".join(
        _told(right, [lack for lack in lacks if lack.right is right], few=len(rights) < _MANY) for right in rights
    )


def _told(right: Right, lacks: Sequence[Lack], *, few: bool) -> str:
    verbs = ", ".join(dict.fromkeys(lack.verb for lack in lacks))
    objects = ", ".join(dict.fromkeys(lack.object for lack in lacks if lack.object))
    what = " ".join(part for part in (verbs, right.resource, objects) if part)
    return f"{what} (to {right.why})" if few else what


def give(lacks: Sequence[Lack], who: str = "") -> str:
    """What to do about them; with ``who``, as the account is called, the commands that give it those of one right."""
    first = lacks[0]
    if not who or who == "the account":
        return f"give {'it' if len(lacks) == 1 else 'them'} to the account, then check: {first.question}"
    kind, where = ("clusterrole", "") if first.right.everywhere else ("role", f" -n {first.namespace}")
    verbs = ",".join(dict.fromkeys(lack.verb for lack in lacks))
    objects = [each for each in dict.fromkeys(lack.object for lack in lacks) if each]
    name = _own_name(verbs, first.right.plural, *objects[:1], "for", _account(who))
    only = "".join(f" --resource-name={each}" for each in objects)
    return (
        f"kubectl create {kind} {name}{where} --verb={verbs} --resource={first.right.resource}{only} && "
        f"kubectl create {kind}binding {name}{where} --{kind}={name} {_subject(who)}"
    )


def _own_name(*words: str) -> str:
    """A name that another account's, and another stack's, does not have: ``create`` would find it taken."""
    return "-".join(["bluegreen", *(re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words)])


def _account(who: str) -> str:
    """``NAMESPACE:NAME`` of a service account, which the API server calls ``system:serviceaccount:NAMESPACE:NAME``."""
    return who.removeprefix("system:serviceaccount:")


def _subject(who: str) -> str:
    """The account as kubectl takes it, in a shell."""
    account = _account(who)
    return f"--serviceaccount={account}" if account != who else f"--user={shlex.quote(who)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grant:
    """One rule that the API server says the account has."""

    verbs: frozenset[str]
    groups: frozenset[str]
    plurals: frozenset[str]
    objects: frozenset[str]

    def covers(self, lack: Lack) -> bool:
        """Whether it gives this. A wildcard gives all of its kind."""
        part = lack.right.plural.partition("/")[2]
        wide = {"*", lack.right.plural, *((f"*/{part}",) if part else ())}
        return (
            not self.verbs.isdisjoint({"*", lack.verb})
            and not self.groups.isdisjoint({"*", lack.right.group})
            and not self.plurals.isdisjoint(wide)
            and (not self.objects or lack.object in self.objects)
        )


def review(
    api: Api, *, stack: Stack, namespace: str, until: Instant, rights: Sequence[Right] | None = None
) -> tuple[Lack, ...]:
    """Which of the rights the account has not, in the list's order. ``rights`` None: those of the stack.

    Raises PlatformError; Refused: it may not ask.

    One question for the namespace's rules, then one for each right that these do not plainly give: the rules tell
    nothing of other namespaces, and not all authorizers list what they allow.
    """
    grants = _grants(api, namespace, until=until)
    wanted = rights_of(stack) if rights is None else rights
    asked = (lack for right in wanted for lack in _wants(right, stack=stack, namespace=namespace))
    doubtful = (lack for lack in asked if lack.right.everywhere or not any(grant.covers(lack) for grant in grants))
    return tuple(lack for lack in doubtful if not _allowed(api, lack, until=until))


def account_of(api: Api, *, until: Instant) -> str:
    """Who the API server takes us for; empty: it does not say."""
    body: Json = {"apiVersion": SELF_REVIEWS.group_version, "kind": "SelfSubjectReview"}
    try:
        answer = api.review(SELF_REVIEWS.all(""), body, until=until)
    except Refused:
        return ""
    return clean(Node(answer).at("status", "userInfo", "username").text())


def _wants(right: Right, *, stack: Stack, namespace: str) -> Iterator[Lack]:
    objects = right.objects(stack=stack, namespace=namespace) or (("",) if right.of is Of.ANY else ())
    for verb in right.verbs:  # a stack without budgets need not patch any
        for name in objects:
            yield Lack(right=right, verb=verb, object=name, namespace="" if right.everywhere else namespace)


def _grants(api: Api, namespace: str, *, until: Instant) -> tuple[_Grant, ...]:
    body: Json = {
        "apiVersion": RULES_REVIEWS.group_version,
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    try:
        answer = api.review(RULES_REVIEWS.all(""), body, until=until)
    except Refused:
        return ()  # nothing is plain then: each is asked for
    return tuple(_grant(rule) for rule in Node(answer).at("status", "resourceRules").items())


def _grant(rule: Node) -> _Grant:
    return _Grant(
        verbs=frozenset(rule.at("verbs").texts()),
        groups=frozenset(rule.at("apiGroups").texts()),
        plurals=frozenset(rule.at("resources").texts()),
        objects=frozenset(rule.at("resourceNames").texts()),
    )


def _allowed(api: Api, lack: Lack, *, until: Instant) -> bool:
    plural, _, part = lack.right.plural.partition("/")
    attributes = {
        "verb": lack.verb,
        "group": lack.right.group,
        "resource": plural,
        "subresource": part,
        "name": lack.object,
        "namespace": lack.namespace,
    }
    body: Json = {
        "apiVersion": ACCESS_REVIEWS.group_version,
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
    }
    answer = api.review(ACCESS_REVIEWS.all(""), body, until=until)
    return Node(answer).at("status", "allowed").flag()
