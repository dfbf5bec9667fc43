"""``examine`` against an API server: what is told of a stack that is good, that is bad, and that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_adapter.alfred_kit import Namespace, scaler
from tests.kubernetes_adapter.authority_kit import without
from tests.kubernetes_adapter.cluster_kit import LIMIT, Served

from bluegreen.domain.rules import Rule
from bluegreen.domain.values import replace
from bluegreen.platforms.kubernetes.rights import RIGHTS, Lack, give
from bluegreen.platforms.kubernetes.verdicts import refuse
from bluegreen.ports import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.ports import Finding


def good() -> Namespace:
    """Alfred as the chart has it, with all that the kit's plain pods leave out."""
    there = Namespace()
    for name in there.deployments:
        container, spec = there.container(name), there.spec(name)
        ready = container["readinessProbe"]
        container |= {
            "readinessProbe": {**ready, "periodSeconds": 5},
            "livenessProbe": {**ready, "periodSeconds": 10},
            "startupProbe": {**ready, "periodSeconds": 3, "failureThreshold": 30},
            "imagePullPolicy": "IfNotPresent",
        }
        spec["topologySpreadConstraints"] = [{"maxSkew": 1}]
    return there


def examined(served: Served, *doubts: Finding) -> Sequence[Finding]:
    with served.platform(doubts=doubts) as platform:
        return platform.examine(until=LIMIT)


def test_a_good_stack_is_clean_and_nothing_is_written_not_even_as_a_dry_run() -> None:
    served = Served(good())
    assert examined(served) == ()
    assert served.written == []


def test_what_refuses_comes_first_each_with_why_and_a_mend() -> None:
    there = good()
    there.container("alfred-backend-green").pop("lifecycle")
    there.services["alfred-gateway"]["spec"]["publishNotReadyAddresses"] = True
    found = examined(Served(there))
    assert [each.rule for each in found] == [Rule.NOT_READY_ADDRESSES, Rule.NO_PRE_STOP]
    assert [each.severity for each in found] == [Severity.REFUSE, Severity.WARN]
    assert all(each.why and each.mend.startswith("kubectl ") for each in found)


def test_a_missing_deployment_and_a_slot_without_an_address_of_its_own() -> None:
    there = good()
    del there.deployments["alfred-backend-green"], there.services["alfred-gateway-green"]
    found = {each.rule: each for each in examined(Served(there))}
    assert set(found) == {Rule.MISSING_OBJECT, Rule.NO_PREVIEW}
    assert "kubectl expose deployment alfred-gateway-green -n alfred" in found[Rule.NO_PREVIEW].mend


def test_a_stack_without_a_chart_of_ours_is_told_how_the_slot_is_made() -> None:
    served = Served(good())
    served.stack = replace(served.stack, name="other")
    del served.there.deployments["alfred-backend-green"]
    (found,) = [each for each in examined(served) if each.rule == Rule.MISSING_OBJECT]
    assert "with slot=green in its selector and its pods' labels" in found.mend
    assert found.mend.endswith("kubectl get deployment alfred-backend-blue -n alfred -o yaml")


def test_a_service_that_is_called_otherwise_can_be_named() -> None:
    """As Kustomize's prefixes make it."""
    served = Served(good())
    served.stack = replace(served.stack, name="other")
    served.there.services["prod-alfred-gateway"] = served.there.services.pop("alfred-gateway")
    (found,) = [each for each in examined(served) if each.rule == Rule.MISSING_OBJECT]
    assert "alfred-gateway: kubernetes: {service: NAME}" in found.mend


def test_while_the_slots_are_not_known_nothing_is_said_of_them() -> None:
    """Each mend would be of the wrong objects: one of them sends users to a slot that no pod is in."""
    there = good()
    del there.services["alfred-gateway"]["spec"]["selector"]["slot"]
    doubt = refuse(Rule.UNKNOWN_SLOTS, "there is one slot only", "make a second one")
    assert examined(Served(there), doubt) == (doubt,)


def test_where_services_name_no_slot_the_one_with_pods_serves() -> None:
    there = good()
    for name in ("alfred-backend", "alfred-gateway"):
        there.services[name]["spec"]["selector"].pop("slot")
        there.deployments[f"{name}-blue"]["status"]["readyReplicas"] = 0
    mends = [each.mend for each in examined(Served(there)) if each.rule == Rule.NO_SLOT_LABEL]
    assert len(mends) == 2
    assert all('"slot":"green"' in mend for mend in mends)


def test_one_pod_that_serves() -> None:
    there = good()
    there.deployments["alfred-backend-blue"]["spec"]["replicas"] = 1
    found = {each.rule: each.mend for each in examined(Served(there))}
    assert found[Rule.SINGLE_REPLICA] == "kubectl scale deployment alfred-backend-blue -n alfred --replicas=2"


@pytest.mark.parametrize(("most", "change"), [(10, '"minReplicas":2'), (1, '"minReplicas":2,"maxReplicas":2')])
def test_what_an_autoscaler_sizes_is_made_larger_by_it(most: int, change: str) -> None:
    """A size by hand would be taken back."""
    there = good()
    there.deployments["alfred-backend-blue"]["spec"]["replicas"] = 1
    there.scalers.append(scaler("alfred-backend-blue", least=1, most=most))
    found = {each.rule: each.mend for each in examined(Served(there))}
    name = there.scalers[0]["metadata"]["name"]
    patch = f"kubectl patch hpa {name} -n alfred --type merge -p '{{\"spec\":{{{change}}}}}'"
    assert found[Rule.SINGLE_REPLICA] == patch


def test_a_stack_that_is_not_there_is_a_finding() -> None:
    there = good()
    del there.services["alfred-gateway"]
    (found,) = examined(Served(there))
    assert (found.rule, found.severity) == (Rule.MISSING_OBJECT, Severity.REFUSE)
    assert "there is no Service alfred-gateway" in found.text


def test_a_missing_right_is_a_finding_with_the_commands_that_give_it() -> None:
    served = Served(good())
    for name in ("alfred-backend", "alfred-gateway"):
        served.reviewer.rules = without(served.reviewer.rules, plural="services", verb="patch", name=name)
    found = [each for each in examined(served) if each.rule == Rule.MISSING_RIGHT]
    assert [each.severity for each in found] == [Severity.REFUSE]
    assert found[0].mend == (
        "kubectl create role bluegreen-patch-services-alfred-backend-for-ann -n alfred "
        "--verb=patch --resource=services "
        "--resource-name=alfred-backend --resource-name=alfred-gateway && "
        "kubectl create rolebinding bluegreen-patch-services-alfred-backend-for-ann -n alfred "
        "--role=bluegreen-patch-services-alfred-backend-for-ann --user=ann"
    )


@pytest.mark.parametrize(
    ("who", "names", "subject"),
    [
        ("system:serviceaccount:shop:ci", "bluegreen-list-nodes-for-shop-ci", "--serviceaccount=shop:ci"),
        ("Ann O'Hara", "bluegreen-list-nodes-for-ann-o-hara", """--user='Ann O'"'"'Hara'"""),
        ("oidc/ann@shop.test", "bluegreen-list-nodes-for-oidc-ann-shop-test", "--user=oidc/ann@shop.test"),
    ],
)
def test_what_gives_a_right_has_a_name_of_its_own_for_each_account(who: str, names: str, subject: str) -> None:
    right = next(each for each in RIGHTS if each.everywhere and each.plural == "nodes")
    told = give([Lack(right=right, verb="list")], who)
    create, bind = told.split(" && ")
    assert create == f"kubectl create clusterrole {names} --verb=list --resource=nodes"
    assert bind == f"kubectl create clusterrolebinding {names} --clusterrole={names} {subject}"
