"""The list of rights, and finding out which an account has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_adapter.alfred_kit import alfred
from tests.kubernetes_adapter.authority_kit import Reviewer, without
from tests.kubernetes_transport.kit import RecordingClock, serving
from tests.kubernetes_transport.server import Conversation, refuse, reset

from bluegreen.domain.stack import HttpCheck, Instant
from bluegreen.domain.values import replace
from bluegreen.platforms.kubernetes.errors import MissingRight
from bluegreen.platforms.kubernetes.names import marks_of_all
from bluegreen.platforms.kubernetes.rights import (
    POSTING,
    RIGHTS,
    Lack,
    Right,
    Rule,
    account_of,
    review,
    rights_of,
    rules,
)
from bluegreen.ports import Severity

if TYPE_CHECKING:
    from tests.kubernetes_transport.server import Step

STACK = alfred()
LIMIT = Instant(60.0)
INSIDE = [right for right in RIGHTS if not right.everywhere]
ROLE = rules(INSIDE, stack=STACK, namespace="alfred")
CLUSTER_ROLE = rules([right for right in RIGHTS if right.everywhere], stack=STACK, namespace="alfred")
EACH = [
    (right, verb, name)
    for right in INSIDE
    for verb in right.verbs
    for name in right.objects(stack=STACK, namespace="alfred") or ("",)
]


def reviewed(reviewer: Reviewer) -> tuple[Lack, ...]:
    def step(conversation: Conversation) -> None:
        assert reviewer.answer(conversation)

    steps: list[Step] = [step] * (len(EACH) + 5)
    with serving(RecordingClock(), *steps) as (_, api):
        return review(api, stack=STACK, namespace="alfred", until=LIMIT)


def test_an_account_with_the_roles_lacks_nothing_and_three_questions_tell() -> None:
    reviewer = Reviewer(ROLE, CLUSTER_ROLE)
    assert reviewed(reviewer) == ()
    assert reviewer.asked == ["rules", "list nodes", "list pods"]


def test_an_administrator_lacks_nothing() -> None:
    verbs = ("*", "get", "list", "watch", "create", "patch", "delete")
    everything = [Rule(group="*", plural="*", verbs=verbs)]
    reviewer = Reviewer(everything, everything)
    assert reviewed(reviewer) == ()
    assert len(reviewer.asked) == 3


def test_an_authorizer_that_lists_nothing_is_asked_for_each() -> None:
    reviewer = Reviewer(ROLE, CLUSTER_ROLE, silent=True)
    assert reviewed(reviewer) == ()
    assert len(reviewer.asked) == 1 + len(EACH) + 2


@pytest.mark.parametrize(("right", "verb", "name"), EACH, ids=[f"{verb} {r.plural} {n}" for r, verb, n in EACH])
def test_each_right_that_is_taken_away_is_named(right: Right, verb: str, name: str) -> None:
    left = without(ROLE, plural=right.plural, verb=verb, name=name)
    assert left != list(ROLE)
    found = [lack for lack in reviewed(Reviewer(left)) if not lack.right.everywhere]
    assert [(lack.verb, lack.right.resource, lack.object) for lack in found] == [(verb, right.resource, name)]


def test_rights_in_the_namespace_are_no_rights_everywhere() -> None:
    inside = [*ROLE, Rule(group="", plural="nodes", verbs=("list",))]
    found = reviewed(Reviewer(inside))
    assert [str(lack) for lack in found] == ["list nodes", "list pods"]
    assert [lack.question for lack in found] == ["kubectl auth can-i list nodes -A", "kubectl auth can-i list pods -A"]


def test_a_stack_without_budgets_needs_no_right_to_turn_one() -> None:
    marks = [replace(one, budget="") for one in marks_of_all(STACK)]
    bare = replace(STACK, services=tuple(replace(s, marks=m) for s, m in zip(STACK.services, marks, strict=True)))
    none = [rule for rule in ROLE if not (rule.plural == "poddisruptionbudgets" and rule.objects)]
    reviewer = Reviewer(none, CLUSTER_ROLE)

    def step(conversation: Conversation) -> None:
        assert reviewer.answer(conversation)

    with serving(RecordingClock(), *[step] * (len(EACH) + 5)) as (_, api):
        assert review(api, stack=bare, namespace="alfred", until=LIMIT) == ()
    assert list(rules(INSIDE, stack=bare, namespace="alfred")) == none, "a rule that names no object is about all"


def test_a_stack_with_a_check_that_posts_needs_two_more() -> None:
    check = HttpCheck(name="order", service="alfred-gateway", path="/", method="POST")
    posts = replace(STACK, checks=(check,))
    assert rights_of(STACK) == RIGHTS
    assert rights_of(posts) == RIGHTS + POSTING
    reviewer = Reviewer(ROLE, CLUSTER_ROLE)

    def step(conversation: Conversation) -> None:
        assert reviewer.answer(conversation)

    with serving(RecordingClock(), *[step] * (len(EACH) + 5)) as (_, api):
        found = review(api, stack=posts, namespace="alfred", until=LIMIT)
    assert list(map(str, found)) == ["create pods/proxy", "create services/proxy"]
    assert found[0].question == "kubectl auth can-i create pods --subresource=proxy -n alfred"
    assert all(lack.right.lacking is Severity.WARN for lack in found)


def test_a_lack_is_told_as_kubectl_asks_for_it() -> None:
    found = reviewed(Reviewer(without(ROLE, plural="deployments", verb="patch", name="alfred-backend-blue")))
    assert str(found[0]) == "patch deployments.apps alfred-backend-blue"
    assert found[0].question == "kubectl auth can-i patch deployments.apps/alfred-backend-blue -n alfred"

    found = reviewed(Reviewer(without(ROLE, plural="pods/proxy", verb="get")))
    assert found[0].question == "kubectl auth can-i get pods --subresource=proxy -n alfred"


def test_a_question_that_is_not_answered_is_asked_again() -> None:
    """It changes nothing: a hiccup of the API server in the middle of them ends no release."""
    reviewer = Reviewer(ROLE, CLUSTER_ROLE)

    def step(conversation: Conversation) -> None:
        assert reviewer.answer(conversation)

    down = refuse(503, "ServiceUnavailable", "starting")
    with serving(RecordingClock(), down, step, reset, step, step, down, step) as (_, api):
        assert review(api, stack=STACK, namespace="alfred", until=LIMIT) == ()
        assert account_of(api, until=LIMIT) == "ann"
    assert reviewer.asked == ["rules", "list nodes", "list pods", "self"]


def test_an_account_that_may_not_ask_is_told_so() -> None:
    no = refuse(403, "Forbidden", 'user "x" cannot create resource "selfsubjectaccessreviews" at the cluster scope')
    with serving(RecordingClock(), no, no) as (_, api), pytest.raises(MissingRight) as caught:
        review(api, stack=STACK, namespace="alfred", until=LIMIT)
    assert caught.value.resource == "selfsubjectaccessreviews.authorization.k8s.io"


def test_the_list_is_well_formed() -> None:
    for right in RIGHTS:
        assert right.why
        assert bool(right.lost) == (right.lacking is not Severity.REFUSE), right
    wanted = [(right.resource, verb, right.of, right.everywhere) for right in RIGHTS for verb in right.verbs]
    assert len(wanted) == len(set(wanted)), "a right is on the list twice"


def test_rules_name_the_objects_only_where_the_api_can_tell_them() -> None:
    """A list, a watch and a creation have no name that a Role could hold."""
    for rule in ROLE:
        assert not rule.objects or not set(rule.verbs) & {"list", "watch", "create"}, rule
    writing = {rule.plural: rule.objects for rule in ROLE if "patch" in rule.verbs}
    assert writing["services"] == ("alfred-backend", "alfred-gateway")
    assert writing["leases"] == ("bluegreen-alfred",)
