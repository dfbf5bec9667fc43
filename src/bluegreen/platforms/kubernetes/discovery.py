"""What a stack's objects are called and labelled, found on the objects themselves. Pure: from what was listed.

A service's users' Service is named; everything else is read from labels. The slot is the label of that Service's
selector in which two Deployments differ and in nothing else of it; its two values are the slots. What cannot be told
that way is a doubt, with the line of the app file that ends it. Where nothing is found at all the convention of
``names`` stays: then the chart is not installed yet, or a rule says what is wrong with what is there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import dataclass, replace
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.objects import value_of
from bluegreen.platforms.kubernetes.others import OUTSIDE, numbers_of, other_services, same_port
from bluegreen.platforms.kubernetes.verdicts import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bluegreen.domain.stack import Marks, Seconds, Stack
    from bluegreen.domain.stack import Service as StackService
    from bluegreen.platforms.kubernetes.objects import Budget, Deployment, Service
    from bluegreen.ports import Finding

_IDENTITY = frozenset(
    {"app", "name", "component", "tier", "k8s-app", "app.kubernetes.io/name", "app.kubernetes.io/component"}
    | {"app.kubernetes.io/instance", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"}
    | {"run", "service", "io.kompose.service", "workload.user.cattle.io/workloadselector"}
)
"""Labels that say which program a pod is. Deployments of different programs differ in them: they name no slot.

Others are told by what they say: the name of a Service (``_says_program``).
"""
_WORD = re.compile(r"[a-z]+")
_TWO = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """What was listed in the stack's namespace, of the stack and of others."""

    services: Sequence[Service]
    deployments: Sequence[Deployment]
    budgets: Sequence[Budget] | None = None
    """None: they may not be listed."""
    namespace: str

    def service(self, name: str) -> Service | None:
        """The Service of that name."""
        return next((each for each in self.services if each.meta.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The stack with its objects' names, what could not be told, and who else sends to its pods."""

    stack: Stack
    doubts: tuple[Finding, ...] = ()


def discover(stack: Stack, there: Objects) -> Found:
    """The stack as its objects are."""
    key, doubts = _slot_label(stack, there)
    values, more = _slot_values(stack, there, key)
    services = []
    doubts += more
    for service in stack.services:
        marks = _marks(service, there, key=key, values=values, others=_users_of(stack))
        if stack.name in names.CHARTS:
            marks = _with_own_services(marks)
        ported, wrong = _ported(service, there)
        doubts += [*wrong, *_alone(marks, there), *_doubtful(marks, there)]
        usual = there.service(marks.users) is None or marks == names.convention(service.name, users=service.users)
        services.append(replace(ported, marks=None if usual else marks, grace=_grace(service, marks, there)))
    found = replace(stack, services=tuple(services))
    said = () if doubts else other_services(found, there)
    return Found(stack=found, doubts=(*doubts, *said))


def _users_of(stack: Stack) -> frozenset[str]:
    return frozenset(map(_users, stack.services))


def _selectors(stack: Stack, there: Objects) -> Iterator[tuple[StackService, dict[str, str]]]:
    """What the Service that users of each service call selects, or should."""
    services = sorted(stack.services, key=_users)
    return ((service, found) for service in services if (found := _selector(_users(service), there)))


def _users(service: StackService) -> str:
    """The Service that users of it call."""
    return service.users or service.name


def _selector(users: str, there: Objects) -> dict[str, str]:
    """What the Service selects; where it has no selector, what two Deployments that are called after it share."""
    found = there.service(users)
    if found is not None and found.selector:
        return dict(found.selector)
    called = [each for each in there.deployments if _is_called_after(users, each.meta.name)]
    if found is None or len(called) != _TWO:
        return {}
    return dict(frozenset(called[0].template_labels) & frozenset(called[1].template_labels))


def _is_called_after(users: str, name: str) -> bool:
    slot = name.removeprefix(f"{users}-")
    return slot != name and "-" not in slot


# --- which label names the slot -----------------------------------------------------------------------------------


def _slot_label(stack: Stack, there: Objects) -> tuple[str, list[Finding]]:
    if stack.slot_label:
        return stack.slot_label, list(_unknown_label(stack, there))
    found = [keys for service, selector in _selectors(stack, there) if (keys := _candidates(service, selector, there))]
    if not found:
        return names.SLOT, list(_one_slot_only(stack, there))
    common = frozenset.intersection(*found)
    if len(common) == 1:
        return next(iter(common)), []
    if names.SLOT in common:
        return names.SLOT, []
    return names.SLOT, [_doubt_of_label(sorted(frozenset[str]().union(*found)))]


def _unknown_label(stack: Stack, there: Objects) -> Iterator[Finding]:
    """Of an app file that names a label which nothing carries, by a slip of the pen."""
    selectors = [selector for _, selector in _selectors(stack, there)]
    carried = {key for each in there.deployments for key, _ in each.template_labels}
    if selectors and stack.slot_label not in carried.union(*selectors):
        yield refuse(
            Rule.UNKNOWN_SLOTS,
            f"no pods carry the label {stack.slot_label}, which the app file names",
            f"write one that they carry, {', '.join(sorted(selectors[0]))} among them, or leave it out: kubernetes: "
            "{slot_label: LABEL}",
        )


def _candidates(service: StackService, selector: Mapping[str, str], there: Objects) -> frozenset[str]:
    """The labels in which a Deployment's pods differ from the selector, and in nothing else of it.

    Where no pods do, the slot may be no part of the selector: then those in which the selected Deployments differ.
    """
    labels = [dict(each.template_labels) for each in there.deployments]
    missed = [[key for key, value in selector.items() if one.get(key) != value] for one in labels]
    differing = {
        keys[0]
        for one, keys in zip(labels, missed, strict=True)
        if len(keys) == 1 and not _says_program(keys[0], service, selector, one, there)
    }
    if differing:
        return frozenset(key for key in differing if any(key in one for one in labels))
    selected = [one for one, keys in zip(labels, missed, strict=True) if not keys]
    keys = frozenset(key for one in selected for key in one) - _IDENTITY - selector.keys()
    return frozenset(key for key in keys if len({one.get(key, "") for one in selected}) == _TWO)


def _says_program(
    key: str, service: StackService, selector: Mapping[str, str], other: Mapping[str, str], there: Objects
) -> bool:
    """Whether the label says which program it is: by its own name, or by saying the name of the service, or that of a
    Service which has the other Deployment's pods.
    """
    if key in _IDENTITY or selector[key] in {service.name, _users(service)}:
        return True
    name = other.get(key, "")
    called = there.service(name)
    if called is None or not called.selector or name in set(Slot) or name.startswith(f"{_users(service)}-"):
        return False
    return dict(called.selector).items() <= other.items()


def _one_slot_only(stack: Stack, there: Objects) -> Iterator[Finding]:
    """Of a stack that is there, but whose Deployments differ in no label of a selector that says ``slot``."""
    for service, selector in _selectors(stack, there):
        selected = [each for each in there.deployments if selector.items() <= dict(each.template_labels).items()]
        if selected and names.SLOT not in selector:
            shown = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
            yield _doubt_of_identity(service, selector, there) or refuse(
                Rule.UNKNOWN_SLOTS,
                f"there is one slot only: no Deployment differs from {shown} in one label that may name it",
                f"make a second one of {selected[0].meta.name}, the same but for one label of its pods and selector",
            )
            return


def _doubt_of_identity(service: StackService, selector: Mapping[str, str], there: Objects) -> Finding | None:
    """Of slots that are told by a label which as a rule says the program, as a Helm release each has it."""
    for each in there.deployments:
        labels = dict(each.template_labels)
        missed = [key for key, value in selector.items() if labels.get(key) != value]
        if len(missed) == 1 and _may_be_slot(labels.get(missed[0], ""), service):
            key = missed[0]
            return refuse(
                Rule.UNKNOWN_SLOTS,
                f"no label that may name the slot differs: {each.meta.name} has another {key}, which says as a rule "
                "which program it is",
                f"if it names the slot, say so in the app file: kubernetes: {{slot_label: {key}}}",
            )
    return None


def _may_be_slot(value: str, service: StackService) -> bool:
    """As in ``web-green``, or ``green`` alone."""
    named = value.startswith((f"{service.name}-", f"{_users(service)}-"))
    return named or not set(Slot).isdisjoint(_WORD.findall(value.lower()))


def _doubt_of_label(keys: Sequence[str]) -> Finding:
    return refuse(
        Rule.UNKNOWN_SLOTS,
        f"it cannot be told which label names the slot: it may be {', '.join(keys)}",
        "say it in the app file: kubernetes: {slot_label: LABEL}",
    )


# --- which values it has ------------------------------------------------------------------------------------------


def _slot_values(stack: Stack, there: Objects, key: str) -> tuple[tuple[tuple[Slot, str], ...], list[Finding]]:
    usual = tuple((slot, str(slot)) for slot in Slot)
    if stack.slot_values:
        return stack.slot_values, []
    by_service = _values(stack, there, key)
    found = sorted(frozenset[str]().union(*by_service))
    if not found or set(found) <= set(Slot) or set(Slot) <= set(found):
        return usual, []
    if len(found) == _TWO:
        return tuple(zip(Slot, sorted(found, key=_blueness), strict=True)), []
    own = all(len(values) <= _TWO for values in by_service)
    return usual, [_doubt_of_own_values(key, found) if len(found) > _TWO and own else _doubt_of_values(key, found)]


def _blueness(value: str) -> tuple[bool, bool, str]:
    """``blue`` and ``green`` are what they say, also where the other value is a word of its own."""
    return value != Slot.BLUE, value == Slot.GREEN, value


def _values(stack: Stack, there: Objects, key: str) -> list[frozenset[str]]:
    """What the label says in the pods of each service, and in its selector."""
    found = []
    for _, selector in _selectors(stack, there):
        rest = {name: value for name, value in selector.items() if name != key}.items()
        labels = (dict(each.template_labels) for each in there.deployments)
        found.append(frozenset(one[key] for one in (*labels, selector) if rest and rest <= one.items() and key in one))
    return found


def _doubt_of_own_values(key: str, values: Sequence[str]) -> Finding:
    return refuse(
        Rule.UNKNOWN_SLOTS,
        f"{key} has other values for each service ({', '.join(values)}): a slot is the whole stack, and is called the "
        "same in all of them",
        "give the pods of each slot a label that is the same for all services, such as slot=blue, then the Services' "
        "selectors",
    )


def _doubt_of_values(key: str, values: Sequence[str]) -> Finding:
    if len(values) == 1:
        return refuse(
            Rule.UNKNOWN_SLOTS,
            f"there is one slot only, {key}={values[0]}: no Deployment has pods with another value of that label",
            f"make the Deployments of the second slot: the same with another value of {key}, in labels and selector",
        )
    return refuse(
        Rule.UNKNOWN_SLOTS,
        f"{key} has the values {', '.join(values)}: it cannot be told which two are the slots",
        f"say it in the app file: kubernetes: {{slots: {{blue: {values[0]}, green: {values[1]}}}}}",
    )


# --- what the objects of one service are called -------------------------------------------------------------------


def _marks(
    service: StackService,
    there: Objects,
    *,
    key: str,
    values: tuple[tuple[Slot, str], ...],
    others: frozenset[str],
) -> Marks:
    usual = replace(names.convention(service.name, users=service.users), slot_label=key, values=values)
    selected = {name: value for name, value in sorted(_selector(usual.users, there).items()) if name != key}
    marks = replace(usual, labels=tuple(selected.items()) or usual.labels)
    marks = replace(marks, workloads=tuple((slot, _workload(marks, slot, there)) for slot in Slot))
    return replace(
        marks,
        previews=tuple((slot, name) for slot in Slot if (name := _preview(marks, slot, there, others))),
        budget=_budget(marks, there),
    )


def _workload(marks: Marks, slot: Slot, there: Objects) -> str:
    """The Deployment of the slot; where there is none, what it would be called."""
    usual = names.usual(marks, slot)
    found = [each.meta.name for each in _workloads(marks, slot, there)]
    return usual if usual in found or not found else min(found)


def _workloads(marks: Marks, slot: Slot, there: Objects) -> Iterator[Deployment]:
    wanted = marks.selector(slot).items()
    return (each for each in there.deployments if wanted <= dict(each.template_labels).items())


def _preview(marks: Marks, slot: Slot, there: Objects, others: frozenset[str]) -> str:
    """The Service that selects this slot of the service alone; empty: there is none.

    The best of several: with the port that users call, with an address of its own, called as usual. One that is reached
    from outside, or a headless one, is a slot's own only where its name says so.
    """
    usual, users, numbers = names.usual(marks, slot), there.service(marks.users), numbers_of(marks, there)
    own = [each for each in there.services if dict(each.selector) == marks.selector(slot)]
    ranked = [
        (users is None or not same_port(each, users, numbers), each.headless, each.meta.name != usual, each.meta.name)
        for each in own
        if each.meta.name not in others
        if not (each.headless or each.kind in OUTSIDE) or marks.value(slot) in each.meta.name
    ]
    return min(ranked)[-1] if ranked else ""


def _with_own_services(marks: Marks) -> Marks:
    """Of a chart that makes them, a slot's own Service that is not there is missing, and not left out."""
    return replace(marks, previews=tuple((slot, names.own_service(marks, slot)) for slot in Slot))


def _budget(marks: Marks, there: Objects) -> str:
    """The one budget that a release can turn to a slot: by labels, with a least number. Empty: there is none.

    One without a selector is the chart's, which leaves it to the pipeline: known by its name. Where each slot has one
    of its own nothing has to be turned, and one of other programs' pods as well is not this service's to turn.
    """
    usual = names.budget(marks.users)
    if there.budgets is None:
        return usual
    own = [
        each
        for each in budgets_of(marks, there.budgets, there.deployments)
        if not (each.selector and _covers_others(each, marks, there.deployments))
    ]
    if {(slot,) for slot in Slot} <= {slots_of(each, marks, there.deployments) for each in own}:
        return ""
    found = [
        each.meta.name for each in own if each.plain and ((each.minimum and each.selector) or each.meta.name == usual)
    ]
    return usual if usual in found else min(found, default="")


def _covers_others(budget: Budget, marks: Marks, deployments: Iterable[Deployment]) -> bool:
    """Not by what a run has made of it, which has to be put back."""
    if value_of(budget.meta.annotations, names.MINIMUM):
        return False
    own = {name for _, name in marks.workloads}
    wanted = dict(budget.selector).items()
    return any(wanted <= dict(each.template_labels).items() for each in deployments if each.meta.name not in own)


def budgets_of(marks: Marks, budgets: Iterable[Budget], deployments: Iterable[Deployment]) -> Iterator[Budget]:
    """The budgets that cover pods of the service."""
    deployments = tuple(deployments)
    return (each for each in budgets if slots_of(each, marks, deployments))


def slots_of(budget: Budget, marks: Marks, deployments: Iterable[Deployment]) -> tuple[Slot, ...]:
    """The slots of the service whose pods the budget covers. Pods may carry more labels than their Service selects."""
    labels = {each.meta.name: dict(each.template_labels) for each in deployments}
    pods = {slot: {**labels.get(marks.workload(slot), {}), **marks.selector(slot)} for slot in Slot}
    return tuple(slot for slot, one in pods.items() if dict(budget.selector).items() <= one.items())


def _grace(service: StackService, marks: Marks, there: Objects) -> Seconds:
    """The app file's, or its pods' own where that is longer: so long they may go on serving when they are ended."""
    own = (each.grace for slot in Slot for each in _workloads(marks, slot, there))
    return max((service.grace, *own))


def _alone(marks: Marks, there: Objects) -> Iterator[Finding]:
    """A selector of the slot alone: which pods are the service's in either slot is said by nothing."""
    found = there.service(marks.users)
    if found is not None and [key for key, _ in found.selector] == [marks.slot_label]:
        yield refuse(
            Rule.UNKNOWN_SLOTS,
            f"Service {marks.users} selects {marks.slot_label} and nothing else: what the pods of both slots share "
            "has to be among it",
            f"give the pods of both slots a label more, such as app={marks.service}, then the Service's selector as "
            "well",
        )


def _doubtful(marks: Marks, there: Objects) -> Iterator[Finding]:
    for slot in Slot:
        found = sorted(each.meta.name for each in _workloads(marks, slot, there))
        pods = _selected(marks, slot, there.namespace)
        if len(found) > 1:
            yield refuse(
                Rule.UNKNOWN_SLOTS,
                f"Deployments {' and '.join(found)} have pods of {marks.service} in {slot}: users of the slot would "
                "meet both, and a release would change one of them",
                f"give all but one other labels, or remove them; {pods} shows their pods",
            )


def _selected(marks: Marks, slot: Slot, namespace: str) -> str:
    labels = ",".join(f"{name}={value}" for name, value in marks.selector(slot).items())
    return f"kubectl get pods -n {namespace} -l {labels}"


# --- the port that users call -------------------------------------------------------------------------------------


def _ported(service: StackService, there: Objects) -> tuple[StackService, list[Finding]]:
    """The service with the number of a port that the app file names."""
    users = there.service(service.users or service.name)
    if not service.port_name or users is None:
        return service, []
    number = next((each.port for each in users.ports if each.name == service.port_name), None)
    if number is not None:
        return replace(service, port=number), []
    offered = ", ".join(f"{each.name or 'without a name'} ({each.port})" for each in users.ports) or "none"
    doubt = refuse(
        Rule.UNKNOWN_PORT,
        f"Service {users.meta.name} has no port called {service.port_name}; it has {offered}",
        f"write one of them into the app file: {service.name}: port",
    )
    return service, [doubt]
