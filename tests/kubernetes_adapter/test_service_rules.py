"""Services that users call, one thing wrong at a time in a good shop: the rule, and the very command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_adapter.shop_kit import KEY, Shop, shop

from bluegreen.domain.errors import UsageError
from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import replace
from bluegreen.platforms.kubernetes.discovery import discover
from bluegreen.platforms.kubernetes.fitness import Place
from bluegreen.platforms.kubernetes.objects import slice_of
from bluegreen.platforms.kubernetes.service_rules import require_switchable, service_findings
from bluegreen.ports import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.platforms.kubernetes.objects import EndpointSlice

REFUSE, WARN = Severity.REFUSE, Severity.WARN
PATCH = "kubectl patch svc prices -n shop -p "


def place(there: Shop) -> Place:
    stack = discover(shop(), there.objects).stack
    return Place(stack=stack, live=there.live(stack), target=Slot.GREEN, namespace="shop")


def test_a_good_shop_has_nothing_against_a_switch() -> None:
    assert tuple(service_findings(place(Shop()))) == ()
    require_switchable(place(Shop()))


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is wrong."""

    wrong: Callable[[Shop], object]
    rule: Rule
    mend: str
    severity: Severity = REFUSE


def annotated(there: Shop, **marks: str) -> None:
    there.services["prices"]["metadata"]["annotations"] = {
        f"{'cloud.google.com' if 'neg' in name else 'service.beta.kubernetes.io'}/{name.replace('_', '-')}": value
        for name, value in marks.items()
    }


def port(there: Shop, **changes: object) -> Shop:
    there.container("prices-on-the-right")["ports"][0].update(changes)
    return there


def numbered(there: Shop, ports: list[dict[str, object]]) -> None:
    """Users' Service sends to a number, and the idle slot's container says that it has these."""
    there.spec("prices").update(ports=[{"port": 80, "targetPort": 8080}])
    there.container("prices-on-the-right")["ports"] = ports


def local(there: Shop, *, bare: bool, **spec: object) -> None:
    there.spec("prices").update(spec)
    if bare:
        there.pods = [each for each in there.pods if each["metadata"]["name"] != "prices-right-2"]


def gated(there: Shop, side: str, gate: str) -> None:
    """The readiness gate stands on one pod of the side, as on those that were made while it served."""
    pod = next(each for each in there.pods if each["metadata"]["name"] == f"prices-{side}-2")
    pod["spec"]["readinessGates"] = [{"conditionType": gate}]


def written(there: Shop, manager: str, *, field: str = "f:selector") -> None:
    """By whom users' Service was written; the selector is ours else."""
    writers = [(manager, field), ("bluegreen", "f:selector" if field != "f:selector" else "f:x")]
    there.services["prices"]["metadata"]["managedFields"] = [
        {"manager": name, "operation": "Apply", "fieldsV1": {"f:spec": {what: {}}}} for name, what in writers
    ]


def called_after(there: Shop) -> Shop:
    """Its Deployments are known by their names where the Service selects nothing."""
    for side in ("left", "right"):
        made = there.deployments.pop(f"prices-on-the-{side}")
        made["metadata"]["name"] = f"prices-{side}"
        there.deployments[f"prices-{side}"] = made
    return there


AWS = "aws_load_balancer"
CASES = {
    "headless": Case(
        wrong=lambda s: s.spec("prices").update(clusterIP="None"),
        rule=Rule.HEADLESS,
        mend="kubectl create service clusterip prices-users -n shop --tcp=80:http --tcp=9:9 && "
        f"kubectl set selector svc prices-users -n shop app.kubernetes.io/name=prices,{KEY}=left",
    ),
    "headless, with one port": Case(
        wrong=lambda s: s.spec("prices").update(clusterIP="None", ports=[{"port": 80, "targetPort": "http"}]),
        rule=Rule.HEADLESS,
        mend="kubectl expose deployment prices-on-the-left -n shop --name=prices-users --port=80 --target-port=http "
        f"--selector=app.kubernetes.io/name=prices,{KEY}=left",
    ),
    "ExternalName": Case(
        wrong=lambda s: (
            called_after(s).spec("prices").update(type="ExternalName", externalName="x.example", selector=None)
        ),
        rule=Rule.EXTERNAL_NAME,
        mend=PATCH + '\'{"spec":{"type":"ClusterIP","externalName":null,"selector":{"app.kubernetes.io/name":"prices",',
    ),
    "no selector": Case(
        wrong=lambda s: called_after(s).spec("prices").update(selector=None),
        rule=Rule.NO_SELECTOR,
        mend=PATCH + '\'{"spec":{"selector":{"app.kubernetes.io/name":"prices",',
    ),
    "no selector, and Deployments that are called otherwise": Case(
        wrong=lambda s: s.spec("prices").update(selector=None),
        rule=Rule.NO_SELECTOR,
        mend="kubectl get pods -n shop --show-labels",
    ),
    "no slot label": Case(
        wrong=lambda s: s.spec("prices")["selector"].pop(KEY),
        rule=Rule.NO_SLOT_LABEL,
        mend=PATCH + f'\'{{"spec":{{"selector":{{"{KEY}":"left"}}}}}}\'',
    ),
    "split": Case(
        wrong=lambda s: s.spec("storefront")["selector"].update({KEY: "right"}),
        rule=Rule.SPLIT_STACK,
        mend="bluegreen rollback --to blue",
    ),
    "publishNotReadyAddresses": Case(
        wrong=lambda s: s.spec("prices").update(publishNotReadyAddresses=True),
        rule=Rule.NOT_READY_ADDRESSES,
        mend=PATCH + '\'{"spec":{"publishNotReadyAddresses":false}}\'',
    ),
    "another number for the same name": Case(
        wrong=lambda s: port(s, containerPort=9090),
        rule=Rule.DIFFERENT_PORTS,
        mend="kubectl patch deployment prices-on-the-right -n shop --type=json -p "
        '\'[{"op":"replace","path":"/spec/template/spec/containers/0/ports/0/containerPort","value":8080}]\'',
    ),
    "one name, two ports of the Service": Case(
        wrong=lambda s: port(s, containerPort=9090).spec("prices")["ports"][1].update(targetPort="http"),
        rule=Rule.DIFFERENT_PORTS,
        mend="kubectl patch deployment prices-on-the-right",
    ),
    "no such name": Case(
        wrong=lambda s: port(s, name="https"), rule=Rule.DIFFERENT_PORTS, mend="kubectl edit deployment/prices-on-the-r"
    ),
    "a number that only the slot that serves has": Case(
        wrong=lambda s: numbered(s, [{"name": "http", "containerPort": 9090}]),
        rule=Rule.DIFFERENT_PORTS,
        mend="kubectl patch deployment prices-on-the-right -n shop --type=json -p "
        '\'[{"op":"replace","path":"/spec/template/spec/containers/0/ports/0/containerPort","value":8080}]\'',
    ),
    "a number, and several others": Case(
        wrong=lambda s: numbered(s, [{"containerPort": 9090}, {"containerPort": 9091}]),
        rule=Rule.DIFFERENT_PORTS,
        mend="kubectl edit deployment/prices-on-the-right",
    ),
    "inside Local, uncovered": Case(
        wrong=lambda s: local(s, bare=True, internalTrafficPolicy="Local"),
        rule=Rule.INTERNAL_LOCAL,
        mend=PATCH + '\'{"spec":{"internalTrafficPolicy":"Cluster"}}\'',
    ),
    "inside Local, covered today": Case(
        wrong=lambda s: local(s, bare=False, internalTrafficPolicy="Local"),
        rule=Rule.INTERNAL_LOCAL,
        mend=PATCH,
        severity=WARN,
    ),
    "outside Local, uncovered": Case(
        wrong=lambda s: local(s, bare=True, type="NodePort", externalTrafficPolicy="Local"),
        rule=Rule.EXTERNAL_LOCAL,
        mend=PATCH + '\'{"spec":{"externalTrafficPolicy":"Cluster"}}\'',
    ),
    "AWS, targets by address": Case(
        wrong=lambda s: annotated(s, **{f"{AWS}_nlb_target_type": "ip"}),
        rule=Rule.IP_TARGETS,
        mend="service.beta.kubernetes.io/aws-load-balancer-nlb-target-type=instance",
    ),
    "AWS, as it was said before": Case(
        wrong=lambda s: annotated(s, **{f"{AWS}_type": "nlb-ip"}),
        rule=Rule.IP_TARGETS,
        mend="service.beta.kubernetes.io/aws-load-balancer-type=external",
    ),
    "GCP, a group of endpoints": Case(
        wrong=lambda s: annotated(s, neg='{"exposed_ports": {"80": {}}}'),
        rule=Rule.IP_TARGETS,
        mend="cloud.google.com/neg-status-",
    ),
    "AWS, set up at an Ingress": Case(
        wrong=lambda s: gated(s, "left", "target-health.elbv2.k8s.aws/k8s-shop-prices-1a2b3c"),
        rule=Rule.IP_TARGETS,
        mend="annotate what the TargetGroupBinding k8s-shop-prices-1a2b3c was made for, an Ingress or a Service, with "
        "alb.ingress.kubernetes.io/target-type=instance",
    ),
    "Argo CD": Case(
        wrong=lambda s: written(s, "argocd-controller"), rule=Rule.KEPT, mend="docs/appfile.md", severity=WARN
    ),
    "Flux": Case(
        wrong=lambda s: written(s, "kustomize-controller"), rule=Rule.KEPT, mend="docs/appfile.md", severity=WARN
    ),
    "affinity": Case(
        wrong=lambda s: s.spec("prices").update(sessionAffinity="ClientIP"),
        rule=Rule.SESSION_AFFINITY,
        mend=PATCH + '\'{"spec":{"sessionAffinity":"None","sessionAffinityConfig":null}}\'',
        severity=WARN,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_one_thing_wrong(case: Case) -> None:
    there = Shop()
    case.wrong(there)
    found = list(service_findings(place(there)))
    assert [(each.rule, each.severity) for each in found] == [(case.rule, case.severity)], found
    assert case.mend in found[0].mend
    assert found[0].why == case.rule.why


def in_slice(*targets: str) -> EndpointSlice:
    """Of users' Service ``prices``, with these pods; an empty name is an address alone."""
    return slice_of(
        {
            "metadata": {"name": "prices-x7", "labels": {"kubernetes.io/service-name": "prices"}},
            "endpoints": [
                {"addresses": [f"10.0.0.{number}"], **({"targetRef": {"kind": "Pod", "name": pod}} if pod else {})}
                for number, pod in enumerate(targets)
            ],
        }
    )


@pytest.mark.parametrize(("targets", "rules"), [(("p1", ""), [Rule.FOREIGN_ENDPOINTS]), (("p1", "p2"), []), ((), [])])
def test_addresses_of_no_pod_are_not_moved_by_a_switch(targets: tuple[str, ...], rules: list[Rule]) -> None:
    """Told before anything is staged: the switch would be waited for in vain."""
    found = place(Shop())
    found = replace(found, live=replace(found.live, slices=(in_slice(*targets),)))
    told = list(service_findings(found))
    assert [each.rule for each in told] == rules
    assert all(each.mend.endswith("prices-x7") for each in told)


NO_SWITCH = ("headless", "ExternalName", "no selector", "no slot label")


@pytest.mark.parametrize("name", NO_SWITCH)
def test_a_service_that_can_name_no_slot_is_refused_before_a_plan_is_made(name: str) -> None:
    there = Shop()
    CASES[name].wrong(there)
    with pytest.raises(UsageError) as caught:
        require_switchable(place(there))
    assert CASES[name].mend in caught.value.mend


def test_what_becomes_of_an_external_name_sends_to_where_the_pods_listen() -> None:
    """Its ports were words only: nobody was sent through them."""
    there = Shop()
    CASES["ExternalName"].wrong(there)
    there.spec("prices")["ports"] = [{"name": "web", "port": 80}]
    (found,) = service_findings(place(there))
    assert '"ports":[{"name":"web","port":80,"targetPort":8080}]' in found.mend


def test_users_are_not_sent_to_pods_that_are_not_there() -> None:
    """The Service selects no slot, and nothing that it selects is a slot's: one label more would find no pod."""
    there = Shop()
    there.spec("prices")["selector"].pop(KEY)
    for side in ("left", "right"):
        del there.deployments[f"prices-on-the-{side}"]
    found = [each for each in service_findings(place(there)) if each.rule == Rule.NO_SLOT_LABEL]
    assert ["kubectl" in each.mend for each in found] == [False]


FINE = {
    "a policy for outside, on a Service that is inside": lambda s: local(s, bare=True, externalTrafficPolicy="Local"),
    "what every Service is given on GKE": lambda s: annotated(s, neg='{"ingress": true}'),
    "AWS, targets by node": lambda s: annotated(s, **{f"{AWS}_nlb_target_type": "instance"}),
    "a target that is a number": lambda s: s.spec("prices").update(ports=[{"port": 80, "targetPort": 8080}]),
    "a number, where the idle slot says nothing of its ports": lambda s: numbered(s, []),
    "a number that it has among others": lambda s: numbered(s, [{"containerPort": 9090}, {"containerPort": 8080}]),
    "a port of a sidecar that goes on running": lambda s: sidecar_port(s),
    "the same port behind another one": lambda s: s.container("prices-on-the-right")["ports"].insert(
        0, {"name": "metrics", "containerPort": 9090}
    ),
    "a repository's writer, after whom a release wrote the selector": lambda s: written(
        s, "argocd-controller", field="f:ports"
    ),
    "the same port in a later container": lambda s: s.template("prices-on-the-right")["containers"].reverse(),
}


def sidecar_port(there: Shop) -> None:
    for side in ("left", "right"):
        there.template(f"prices-on-the-{side}")["initContainers"][0]["ports"] = [{"name": "tls", "containerPort": 8443}]
    there.spec("prices")["ports"].append({"name": "tls", "port": 443, "targetPort": "tls"})


@pytest.mark.parametrize("fine", FINE.values(), ids=FINE.keys())
def test_what_must_not_trigger(fine: Callable[[Shop], object]) -> None:
    there = Shop()
    fine(there)
    assert list(service_findings(place(there))) == []


@pytest.mark.parametrize(
    ("side", "gate"),
    [
        ("right", "target-health.elbv2.k8s.aws/k8s-shop-prices-1a2b3c"),  # of an earlier time in which it served
        ("left", "example.org/warmed-up"),
    ],
)
def test_other_readiness_gates_say_nothing_of_a_load_balancer(side: str, gate: str) -> None:
    there = Shop()
    gated(there, side, gate)
    assert tuple(service_findings(place(there))) == ()
