"""Custom checks, made as real requests, all at once and each with its own limit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bluegreen.domain.stack import Slot
from bluegreen.platforms.local.envoy import SLOT_HEADER
from bluegreen.platforms.local.fanout import results
from bluegreen.ports import CheckResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.domain.stack import HttpCheck, Instant, Seconds
    from bluegreen.ports import Check, Clock

_BODY_LIMIT = 1024 * 1024
_QUOTED = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A check and the address that it goes to; ``whom`` for the screen. No address: why there is none."""

    check: Check
    whom: str
    address: str
    why: str = ""


def run(requests: Sequence[Request], *, clock: Clock, until: Instant) -> tuple[CheckResult, ...]:
    """Make them all at once; in the order given. Never raises."""
    limit = until - clock.now()
    tasks = [partial(_made, request, timeout=min(limit, request.check.check.timeout)) for request in requests]
    found = results(tasks, clock=clock, until=until)
    late = f"no answer within {limit:.1f} s"
    return tuple(result or _unreachable(request, late) for request, result in zip(requests, found, strict=True))


def _made(request: Request, *, timeout: Seconds) -> CheckResult:
    import http.client

    if not request.address:
        return _unreachable(request, request.why)
    connection = http.client.HTTPConnection(request.address, timeout=max(timeout, 0.001))
    try:
        connection.request("GET", request.check.check.path, headers={"User-Agent": "bluegreen-check"})
        answer = connection.getresponse()
        body = answer.read(_BODY_LIMIT).decode(errors="replace")
    except TimeoutError:
        return _unreachable(request, f"no answer within {timeout:g} s")
    except (OSError, http.client.HTTPException) as error:
        return _unreachable(request, str(error) or type(error).__name__)
    finally:
        connection.close()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    wrong = fault(request.check.check, status=answer.status, headers=headers, body=body)
    return CheckResult(
        check=request.check,
        passed=not wrong,
        detail=f"{request.whom}: {wrong or f'answered {answer.status}'}",
        answered_by=_slot(headers.get(SLOT_HEADER, "")),
    )


def fault(wanted: HttpCheck, *, status: int, headers: Mapping[str, str], body: str) -> str:
    """What is wrong with the answer; empty: nothing. Names of ``headers`` in lower case."""
    if status != wanted.status:
        return f"answered {status}, not {wanted.status}"
    for name, value in wanted.headers:
        if headers.get(name.lower()) != value:
            return f"the header {name} is {headers.get(name.lower(), 'not set')!r}, not {value!r}"
    if wanted.contains not in body:
        return f"the body does not hold {wanted.contains!r}: {' '.join(body.split())[:_QUOTED]!r}"
    return ""


def _unreachable(request: Request, why: str) -> CheckResult:
    return CheckResult(check=request.check, passed=None, detail=f"{request.whom}: not reachable: {why}")


def _slot(value: str) -> Slot | None:
    try:
        return Slot(value)
    except ValueError:
        return None
