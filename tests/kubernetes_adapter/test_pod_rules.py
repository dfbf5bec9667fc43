"""Pod templates and budgets, one thing wrong at a time in a good shop: the rule, and the command that mends it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes_adapter.shop_kit import KEY, Shop, budget, shop

from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import replace
from bluegreen.platforms.kubernetes.budget_rules import budget_findings, missing_budgets
from bluegreen.platforms.kubernetes.discovery import discover
from bluegreen.platforms.kubernetes.fitness import Place, fitness_findings, pods_of
from bluegreen.platforms.kubernetes.pod_rules import pod_findings
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.domain.stack import Stack

REFUSE, WARN, NOTE = Severity.REFUSE, Severity.WARN, Severity.NOTE
RIGHT = "prices-on-the-right"
PATCH = f"kubectl patch deployment {RIGHT} -n shop -p "


def findings(there: Shop, stack: Stack | None = None) -> list[Finding]:
    stack = discover(stack or shop(), there.objects).stack
    place = Place(stack=stack, live=there.live(stack), target=Slot.GREEN, namespace="shop")
    budgets = tuple(there.objects.budgets or ())
    pods = [found for service in stack.services if (found := pods_of(place, service)) is not None]
    return [
        *fitness_findings(place),
        *(finding for each in pods for finding in pod_findings(each)),
        *missing_budgets(place, budgets),
        *budget_findings(place, budgets),
    ]


def test_a_good_shop_has_nothing_against_it() -> None:
    assert findings(Shop()) == []


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is wrong."""

    wrong: Callable[[Shop], object]
    rule: Rule
    change: dict[str, Any] | None = None
    """What the mend patches into the container."""
    mend: str = ""
    severity: Severity = WARN


def probe(there: Shop, kind: str, **changes: object) -> None:
    there.container(RIGHT)[kind] = {**there.container(RIGHT)[kind], **changes}


CASES = {
    "no readiness probe": Case(
        wrong=lambda s: s.container(RIGHT).pop("readinessProbe"),
        rule=Rule.NO_READINESS,
        change={"readinessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 5}},
    ),
    "no readiness probe, and a port of another kind before that of users": Case(
        wrong=lambda s: [
            s.container(RIGHT).pop("readinessProbe"),
            s.container(RIGHT)["ports"].insert(0, {"name": "metrics", "containerPort": 9090}),
        ],
        rule=Rule.NO_READINESS,
        change={"readinessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 5}},
    ),
    "no readiness probe, and the Service knows the number": Case(
        wrong=lambda s: [
            s.container(RIGHT).pop("readinessProbe"),
            s.container(RIGHT).pop("ports"),
            s.spec("prices").update(ports=[{"port": 80, "targetPort": 8080}]),
        ],
        rule=Rule.NO_READINESS,
        change={"readinessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 5}},
    ),
    "no liveness probe": Case(
        wrong=lambda s: s.container(RIGHT).pop("livenessProbe"),
        rule=Rule.NO_LIVENESS,
        change={
            "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10, "failureThreshold": 3}
        },
        severity=NOTE,
    ),
    "only readiness is asked": Case(
        wrong=lambda s: [s.container(RIGHT).pop(kind) for kind in ("livenessProbe", "startupProbe")],
        rule=Rule.NO_LIVENESS,
        change={
            "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10, "failureThreshold": 3},
            "startupProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 3, "failureThreshold": 30},
        },
        severity=NOTE,
    ),
    "readiness that is patient itself": Case(
        wrong=lambda s: [
            s.container(RIGHT)["readinessProbe"].update(failureThreshold=9),
            s.container(RIGHT).pop("livenessProbe"),
        ],
        rule=Rule.NO_LIVENESS,
        change={
            "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10, "failureThreshold": 9}
        },
        severity=NOTE,
    ),
    "no startup probe": Case(
        wrong=lambda s: s.container(RIGHT).pop("startupProbe"),
        rule=Rule.NO_STARTUP,
        change={
            "startupProbe": {
                "httpGet": {"path": "/live", "port": "http"},
                "periodSeconds": 3,
                "failureThreshold": 30,
            }
        },
    ),
    "liveness as impatient as readiness": Case(
        wrong=lambda s: probe(s, "livenessProbe", periodSeconds=5),
        rule=Rule.EQUAL_PROBES,
        change={"livenessProbe": {"failureThreshold": 6}},
    ),
    "the same by the port's number": Case(
        wrong=lambda s: probe(s, "livenessProbe", periodSeconds=5, httpGet={"path": "/live", "port": 8080}),
        rule=Rule.EQUAL_PROBES,
        change={"livenessProbe": {"failureThreshold": 6}},
    ),
    "a probe that outlives its period": Case(
        wrong=lambda s: probe(s, "readinessProbe", timeoutSeconds=9),
        rule=Rule.SLOW_PROBE,
        change={"readinessProbe": {"timeoutSeconds": 5}},
    ),
    "no preStop": Case(
        wrong=lambda s: s.container(RIGHT).pop("lifecycle"),
        rule=Rule.NO_PRE_STOP,
        change={"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}},
    ),
    "a grace that the lame duck leaves nothing of": Case(
        wrong=lambda s: s.template(RIGHT).update(terminationGracePeriodSeconds=17),
        rule=Rule.SHORT_GRACE,
        mend=PATCH + '\'{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":60}}}}\'',
    ),
    "a grace that a preStop by a command leaves nothing of": Case(
        wrong=lambda s: s.container(RIGHT)["lifecycle"].update(preStop={"exec": {"command": ["sh", "-c", "sleep 55"]}}),
        rule=Rule.SHORT_GRACE,
        mend=PATCH + '\'{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":68}}}}\'',
    ),
    "pulled always": Case(
        wrong=lambda s: s.container(RIGHT).update(imagePullPolicy="Always"),
        rule=Rule.PULL_POLICY,
        change={"imagePullPolicy": "IfNotPresent"},
    ),
    "a sidecar of latest": Case(
        wrong=lambda s: s.template(RIGHT)["containers"][1].update(image="shop/log:latest"),
        rule=Rule.MOVING_TAG,
        mend=f"kubectl set image deployment/{RIGHT} -n shop log=shop/log:TAG",
    ),
    "no spread": Case(
        wrong=lambda s: s.template(RIGHT).pop("topologySpreadConstraints"),
        rule=Rule.NO_SPREAD,
        mend=PATCH + '\'{"spec":{"template":{"spec":{"topologySpreadConstraints":[{"maxSkew":1,',
    ),
    "no container of that name": Case(
        wrong=lambda s: s.container(RIGHT).update(name="main"),
        rule=Rule.NO_CONTAINER,
        mend="prices: container: NAME",
        severity=REFUSE,
    ),
    "both slots call the same prices": Case(
        wrong=lambda s: s.container("storefront-on-the-right")["env"][0].update(value="http://prices-left"),
        rule=Rule.NEED_SHARED,
        mend="kubectl set env deployment/storefront-on-the-right -n shop -c app PRICES=http://prices-right",
        severity=REFUSE,
    ),
    "no budget": Case(
        wrong=lambda s: s.budgets.pop("prices-guard"),
        rule=Rule.NO_BUDGET,
        mend="kubectl create poddisruptionbudget prices-pdb -n shop "
        f"--selector=app.kubernetes.io/name=prices,{KEY}=left --min-available=1",
    ),
    "a budget of as many as there are": Case(
        wrong=lambda s: s.budgets["prices-guard"]["spec"].update(minAvailable=2),
        rule=Rule.BUDGET_WAITS,
        mend="kubectl scale deployment prices-on-the-left -n shop --replicas=3",
        severity=NOTE,
    ),
    "a budget by what may be missing": Case(
        wrong=lambda s: s.budgets["prices-guard"]["spec"].update(minAvailable=None, maxUnavailable=1),
        rule=Rule.BUDGET_KIND,
        mend='--type=merge -p \'{"spec":{"maxUnavailable":null,"minAvailable":1}}\'',
    ),
    "two budgets": Case(
        wrong=lambda s: s.budgets.update(spare=budget("spare", app="prices")),
        rule=Rule.BUDGETS_OVERLAP,
        mend="kubectl delete poddisruptionbudget spare -n shop",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_one_thing_wrong(case: Case) -> None:
    there = Shop()
    case.wrong(there)
    found = findings(there)
    assert [(each.rule, each.severity) for each in found] == [(case.rule, case.severity)], found
    assert case.mend in found[0].mend
    if case.change is not None:
        _, _, patch = found[0].mend.partition(" -p ")
        spec = json.loads(patch.strip("'"))["spec"]["template"]["spec"]
        assert spec == {"containers": [{"name": "app", **case.change}]}
        merge(there.container(RIGHT), case.change)
        assert findings(there) == [], "the mend leaves something to mend"


@pytest.mark.parametrize(
    ("there", "here", "severity", "mend"),
    [
        ("dns:///prices-left:80", "dns:///prices-left:80", REFUSE, "PRICES=dns:///prices-right:80"),
        ("prices-left:80", "x", REFUSE, "-c app PRICES=prices-right:80"),
        ("dns:prices-left.shop.svc:80", "x", REFUSE, "PRICES=dns:prices-right.shop.svc:80"),
        ("dns://10.0.0.10/prices-left:80", "x", REFUSE, "PRICES=dns://10.0.0.10/prices-right:80"),
        ("https://prices-left:8443/", "x", REFUSE, "PRICES=https://prices-right:80/"),
        ("http://u:secret@prices-left/v1", "x", REFUSE, "let prices-right be the host in it: kubectl edit deploy"),
        ("dns://u:secret@10.0.0.10/prices-left:80", "x", REFUSE, "let prices-right be the host in it: kubectl edit"),
        ("http://prices-left.secret", "x", REFUSE, "let prices-right be the host in it: kubectl edit deploy"),
        ("dns:///prices-right:80", "dns:///prices-left:80", None, ""),
        ("kubernetes:///prices-right.shop:80", "prices-left.shop.svc.cluster.local:80", None, ""),
    ],
)
def test_an_address_is_read_and_mended_in_the_form_that_it_has(
    there: str, here: str, severity: Severity | None, mend: str
) -> None:
    """As clients of HTTP and of gRPC are told it: the idle slot's, and that of the slot that serves."""
    made = Shop()
    for side, text in (("right", there), ("left", here)):
        made.container(f"storefront-on-the-{side}")["env"][0]["value"] = text
    found = [each for each in findings(made) if each.rule == Rule.NEED_SHARED]
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all(mend in each.mend for each in found)
    assert "secret" not in repr(found)


def merge(into: dict[str, Any], change: dict[str, Any]) -> None:
    """As the API server merges a patch of a container's fields."""
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def test_of_ports_without_names_the_first_is_asked() -> None:
    """Where users' Service does not say which: it has no such port."""
    there = Shop()
    there.container(RIGHT)["ports"] = [{"containerPort": 8080}, {"containerPort": 9090}]
    there.spec("prices")["ports"] = [{"port": 81}]
    stack = discover(shop(), there.objects).stack
    place = Place(stack=stack, live=there.live(stack), target=Slot.GREEN, namespace="shop")
    found = pods_of(place, stack.service("prices"))
    assert found is not None
    assert found.port == 8080


def test_a_service_that_is_not_said_to_be_a_lame_duck() -> None:
    stack = shop()
    silent = replace(stack, services=tuple(replace(one, lame_duck=0.0) for one in stack.services))
    assert {each.rule for each in findings(Shop(), silent)} == {Rule.NO_LAME_DUCK}


def budget_of_right(there: Shop, **spec: object) -> object:
    """One more, of the slot that does not serve."""
    there.budgets["right"] = budget("right", app="prices")
    there.budgets["right"]["spec"] |= spec
    there.budgets["right"]["spec"]["selector"]["matchLabels"][KEY] = "right"
    return there


FINE: dict[str, Callable[[Shop], object]] = {
    "the same question, asked with more patience": lambda s: probe(s, "livenessProbe", periodSeconds=10),
    "one pod needs no spread": lambda s: [
        s.template(RIGHT).pop("topologySpreadConstraints"),
        s.deployments["prices-on-the-left"]["spec"].update(replicas=1),
        s.budgets["prices-guard"]["spec"].update(minAvailable="50%"),
    ],
    "an affinity is a spread": lambda s: s.template(RIGHT).update(
        topologySpreadConstraints=None, affinity={"podAntiAffinity": {}}
    ),
    "a digest stays": lambda s: s.template(RIGHT)["containers"][1].update(image=f"shop/log@sha256:{'0' * 64}"),
    "a budget for each slot": budget_of_right,
    "one for each slot by what may be missing": lambda s: [
        budget_of_right(s),
        *(s.budgets[name]["spec"].update(minAvailable=None, maxUnavailable=1) for name in ("prices-guard", "right")),
    ],
    "one of the idle slot that allows nothing": lambda s: budget_of_right(s, minAvailable=2),
    "what serves is not judged": lambda s: s.container("prices-on-the-left").pop("lifecycle"),
}


@pytest.mark.parametrize("fine", FINE.values(), ids=FINE.keys())
def test_what_must_not_trigger(fine: Callable[[Shop], object]) -> None:
    there = Shop()
    fine(there)
    assert findings(there) == []
