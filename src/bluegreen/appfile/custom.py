"""The app file's own checks: what one struct of the schema leaves open, and the domain's types."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from msgspec import UnsetType

from bluegreen.appfile.check import nearest
from bluegreen.appfile.nodes import shown
from bluegreen.domain.stack import CommandCheck, HttpCheck, JsonCondition, Repeat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluegreen.appfile.check import Places
    from bluegreen.appfile.schema import CheckFile, JsonFile
    from bluegreen.domain.errors import AppFileError
    from bluegreen.domain.stack import CustomCheck

_OF_REQUESTS: Final = (
    *("service", "path", "method", "body", "request_headers", "status"),
    *("contains", "matches", "json", "headers", "latency"),
)
_OURS: Final = frozenset({"authorization", "connection", "content-length", "host", "transfer-encoding"})
"""Headers that are not the app file's: they carry the request, or the API server keeps them for itself."""

_COMMAND_TIMEOUT: Final = CommandCheck(name="", command=("",)).timeout
_REQUEST_TIMEOUT: Final = HttpCheck(name="", service="", path="/").timeout


def custom_check(each: CheckFile, index: int, names: list[str], places: Places) -> CustomCheck:
    """The check as a domain value. Raises AppFileError."""
    given = [key for key in _OF_REQUESTS if places.has("checks", index, key)]
    if each.command:
        if given:
            message = f"a command check has no {given[0]!r}"
            raise places.error(message, "checks", index, given[0], mend="remove it, or make it a check of its own")
        return _command_check(each, index, places)
    return _http_check(each, index, names, places)


def stranger(name: str, others: Iterable[str], places: Places, *at: str | int) -> AppFileError:
    """The error for a service that the stack has not."""
    message = f"{name!r} is not {'another' if 'needs' in at else 'a'} service of the stack"
    return places.error(message, *at, mend=nearest(name, others))


def _command_check(each: CheckFile, index: int, places: Places) -> CommandCheck:
    timeout = _COMMAND_TIMEOUT if isinstance(each.timeout, UnsetType) else each.timeout
    repeat = _repeat(each, index, places)
    return CommandCheck(name=each.name, command=tuple(each.command), timeout=timeout, repeat=repeat)


def _http_check(each: CheckFile, index: int, names: list[str], places: Places) -> HttpCheck:
    at = ("checks", index)
    if isinstance(each.service, UnsetType) or isinstance(each.path, UnsetType):
        missing = "service" if isinstance(each.service, UnsetType) else "path"
        mend = f"add {missing}: ..., or make it a command: [program, argument]"
        raise places.error(f"check {each.name!r} has no {missing!r} and no 'command'", *at, mend=mend)
    if each.service not in names:
        raise stranger(each.service, names, places, *at, "service")
    _refuse_request(each, index, places)
    statuses = [_status(one) for one in (each.status if isinstance(each.status, list) else [each.status])]
    if not statuses:
        raise places.error("no status would be good", *at, "status", mend="name at least one, for example 200")
    return HttpCheck(
        name=each.name,
        service=each.service,
        path=each.path,
        method=each.method,
        body=each.body,
        request_headers=tuple(each.request_headers.items()),
        status=statuses[0],
        other_statuses=tuple(statuses[1:]),
        contains=each.contains,
        matches=_pattern(each.matches, index, places),
        json=tuple(_condition(one, places, *at, "json", number) for number, one in enumerate(each.json)),
        headers=tuple(each.headers.items()),
        latency=_latency(each, index, places),
        timeout=_REQUEST_TIMEOUT if isinstance(each.timeout, UnsetType) else each.timeout,
        repeat=_repeat(each, index, places),
    )


def _refuse_request(each: CheckFile, index: int, places: Places) -> None:
    if each.body and each.method != "POST":
        raise places.error("only a POST sends a body", "checks", index, "body", mend="add method: POST")
    for name in each.request_headers:
        if name.lower() in _OURS:
            message = f"the header {name} cannot be sent by a check"
            mend = "leave it out; a command check can send what it likes"
            raise places.error(message, "checks", index, "request_headers", name, mend=mend)


def _status(one: int | str) -> int:
    """A class is its first digit."""
    return one if isinstance(one, int) else int(one[0])


def _pattern(text: str, index: int, places: Places) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        message = f"{shown(text)!r} is no regular expression: {error}"
        raise places.error(message, "checks", index, "matches", mend="write it in single quotes") from error
    return text


def _condition(one: JsonFile, places: Places, *at: str | int) -> JsonCondition:
    bounds = {
        name: None if isinstance(bound, UnsetType) else bound
        for name, bound in (
            ("at_least", one.at_least),
            ("at_most", one.at_most),
            ("above", one.above),
            ("below", one.below),
        )
    }
    equals = "" if isinstance(one.equals, UnsetType) else json.dumps(one.equals)
    if equals and any(bound is not None for bound in bounds.values()):
        raise places.error("'equals' leaves nothing to compare", *at, "equals", mend="keep it, or the other bounds")
    return JsonCondition(path=one.path, equals=equals, **bounds)


def _latency(each: CheckFile, index: int, places: Places) -> float | None:
    if isinstance(each.latency, UnsetType):
        return None
    timeout = _REQUEST_TIMEOUT if isinstance(each.timeout, UnsetType) else each.timeout
    if each.latency >= timeout:
        message = f"a latency of {each.latency:g} s is never seen: the timeout is {timeout:g} s"
        raise places.error(message, "checks", index, "latency", mend="make the timeout longer, or leave latency out")
    return each.latency


def _repeat(each: CheckFile, index: int, places: Places) -> Repeat:
    within = 0.0 if isinstance(each.within, UnsetType) else each.within
    least = (each.consecutive - 1) * each.interval
    if within and within <= least:
        message = f"{each.consecutive} in a row, {each.interval:g} s apart, take longer than {within:g} s"
        raise places.error(message, "checks", index, "within", mend=f"make it longer than {least:g}")
    return Repeat(consecutive=each.consecutive, interval=each.interval, within=within)
