"""What an answer to a check is worth, and which checks every stack gets. How it is asked is the platform's own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from bluegreen.domain.excerpt import shown
from bluegreen.domain.release import CheckKind
from bluegreen.domain.stack import HttpCheck, JsonCondition, Repeat, Seconds
from bluegreen.domain.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.domain.plan import WorkloadSpec
    from bluegreen.domain.stack import Service, Slot, Stack, Told

_QUOTED = 80
_SEARCHED: Final = 64 * 1024
"""Characters of a body in which a pattern is looked for: a bad pattern in a large body takes minutes."""
_HUNDRED = 100
_GOOD: Final = (2, 3)
"""What a kubelet takes for a good answer to a probe: 200 to 399."""

_MISSING: Final = object()

BUILT_IN_REPEAT = Repeat(within=5.0)
"""A pod that has just become ready may still be busy: a hiccup is no failure, and a failure is told in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer over HTTP."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    took: Seconds

    def header(self, name: str) -> str | None:
        """By its name in any case; None: it is not set."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def fault(wanted: HttpCheck, answer: Answer) -> str:
    """What is wrong with the answer: what was expected, and what came; empty: nothing."""
    return next(_faults(wanted, answer), "")


def _faults(wanted: HttpCheck, answer: Answer) -> Iterator[str]:
    if not any(_is(answer.status, status) for status in (wanted.status, *wanted.other_statuses)):
        yield f"answered {answer.status}, not {statuses(wanted)}{_beginning(answer.body)}"
    if wanted.latency is not None and answer.took > wanted.latency:
        yield f"answered in {answer.took:.3g} s, not within {wanted.latency:g} s"
    for name, value in wanted.headers:
        found = answer.header(name)
        if found != value:
            yield f"the header {name} is {'not set' if found is None else _quoted(found)}, not {_quoted(value)}"
    if wanted.contains not in answer.body:
        yield f"the body does not hold {_quoted(wanted.contains)}: {_quoted(answer.body)}"
    if wanted.matches and not re.search(wanted.matches, answer.body[:_SEARCHED]):
        yield f"the body does not match {_quoted(wanted.matches)}: {_quoted(answer.body)}"
    if wanted.json:
        yield from _json_faults(wanted.json, answer.body)


def statuses(wanted: HttpCheck) -> str:
    """``200``, ``2xx or 404``."""
    return " or ".join(
        f"{each}xx" if each < _HUNDRED else str(each) for each in (wanted.status, *wanted.other_statuses)
    )


def _is(status: int, wanted: int) -> bool:
    return wanted in {status, status // _HUNDRED}


def _quoted(text: str) -> str:
    """As it may be shown: one line, bounded, nothing that steers a terminal, no secrets."""
    return repr(shown(" ".join(text.split()), longest=_QUOTED))


def _beginning(body: str) -> str:
    return f": {_quoted(body)}" if body.strip() else ""


# --- JSON -------------------------------------------------------------------------------------------------------


def _json_faults(conditions: tuple[JsonCondition, ...], body: str) -> Iterator[str]:
    try:
        whole: object = json.loads(body.removeprefix("\ufeff"))  # which .NET likes to put first
    except (ValueError, RecursionError):
        yield f"the body is no JSON: {_quoted(body)}"
        return
    for condition in conditions:
        yield from _condition_faults(condition, _at(whole, condition.path))


def _at(value: object, path: str) -> object:
    """What stands at the path; _MISSING: nothing."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step, _MISSING)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _MISSING
    return value


def _condition_faults(condition: JsonCondition, found: object) -> Iterator[str]:
    if found is _MISSING:
        yield f"the JSON body has no {condition.path}"
        return
    said = f"{condition.path} is {shown(json.dumps(found), longest=_QUOTED)}"
    if condition.equals:
        if not _same(found, json.loads(condition.equals)):
            yield f"{said}, not {condition.equals}"
    elif found is None:
        yield said
    yield from _bound_faults(condition, found, said)


def _same(found: object, wanted: object) -> bool:
    """Equal and of one kind: to JSON ``true`` is not 1, and "1" neither."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return found == wanted


def _bound_faults(condition: JsonCondition, found: object, said: str) -> Iterator[str]:
    bounds = (
        ("at least", condition.at_least),
        ("at most", condition.at_most),
        ("above", condition.above),
        ("below", condition.below),
    )
    asked = [(words, bound) for words, bound in bounds if bound is not None]
    if not asked:
        return
    if isinstance(found, bool) or not isinstance(found, int | float):
        yield f"{said}, which is no number"
        return
    for words, bound in asked:
        if not _within(found, words, bound):
            yield f"{said}, not {words} {bound:g}"


def _within(found: float, words: str, bound: float) -> bool:
    match words:
        case "at least":
            return found >= bound
        case "at most":
            return found <= bound
        case "above":
            return found > bound
        case _:
            return found < bound


# --- what every stack gets ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """A check that the app file need not name."""

    check: HttpCheck
    what: CheckKind
    addressed: bool
    """At the slot's own address of the service; else at each of its pods."""


def built_in(stack: Stack, *, slot: Slot, workloads: tuple[WorkloadSpec, ...]) -> tuple[BuiltIn, ...]:
    """The checks of every stack, from what its app file says of probes, needs, slot and version anyway."""
    images = {spec.service: spec.image for spec in workloads}
    found: list[BuiltIn] = []
    for service in stack.services:
        found += [_health(service, path) for path in _probe_paths(service)]
    paired = (service for service in stack.services if _is_paired(service, stack))
    found += [_in_slot(service, service.probes.readiness.path) for service in paired if service.probes is not None]
    for service in stack.services:
        image = images.get(service.name)
        said = _identity(service, slot=slot, version=image.tag if image is not None else "")
        found += [said] if said is not None else []
    return tuple(found)


def _probe_paths(service: Service) -> tuple[str, ...]:
    """Each once, in the order in which they begin to matter."""
    probes = service.probes
    if probes is None:
        return ()
    return tuple(dict.fromkeys((probes.startup.path, probes.readiness.path, probes.liveness.path)))


def _health(service: Service, path: str) -> BuiltIn:
    return BuiltIn(check=_probe(service, path, name=f"health {path}"), what=CheckKind.HEALTH, addressed=False)


def _probe(service: Service, path: str, *, name: str) -> HttpCheck:
    """A request that is good when it would be good as a probe."""
    status, *others = _GOOD
    return HttpCheck(
        name=name,
        service=service.name,
        path=path,
        status=status,
        other_statuses=tuple(others),
        repeat=BUILT_IN_REPEAT,
    )


def _is_paired(service: Service, stack: Stack) -> bool:
    """Whether it needs another of the stack, or is needed."""
    return bool(service.needs) or service.name in stack.needed


def _in_slot(service: Service, path: str) -> BuiltIn:
    check = _probe(service, path, name="its address in the slot")
    return BuiltIn(check=check, what=CheckKind.IN_SLOT, addressed=True)


def _identity(service: Service, *, slot: Slot, version: str) -> BuiltIn | None:
    """None: the service says nothing of itself that can be compared."""
    if service.tells is None:
        return None
    said = [(service.tells.slot, service.named(slot)), (service.tells.version, version)]
    wanted = [(told, value) for told, value in said if value]
    headers = tuple((told.header, value) for told, value in wanted if told.header)
    conditions = tuple(
        JsonCondition(path=told.json, equals=json.dumps(value)) for told, value in wanted if _in_body(told)
    )
    if not headers and not conditions:
        return None
    asked = _probe(service, service.tells.path, name="slot and version")
    check = replace(asked, headers=headers, json=conditions)
    return BuiltIn(check=check, what=CheckKind.IDENTITY, addressed=False)


def _in_body(told: Told) -> bool:
    return bool(told.json) and not told.header
