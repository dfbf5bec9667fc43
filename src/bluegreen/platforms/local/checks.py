"""Custom checks, made as real requests, all at once and each with its own limit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bluegreen.domain.checks import Answer, fault
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import dataclass
from bluegreen.platforms.local.envoy import SLOT_HEADER
from bluegreen.platforms.local.fanout import results
from bluegreen.ports import CheckResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.ports import Check, Clock

_BODY_LIMIT = 1024 * 1024


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
    tasks = [
        partial(_made, request, clock=clock, timeout=min(limit, request.check.check.timeout)) for request in requests
    ]
    found = results(tasks, clock=clock, until=until)
    late = f"no answer within {limit:.1f} s"
    return tuple(result or _unreachable(request, late) for request, result in zip(requests, found, strict=True))


def _made(request: Request, *, clock: Clock, timeout: Seconds) -> CheckResult:
    if not request.address:
        return _unreachable(request, request.why)
    answer = _answer(request, clock=clock, timeout=max(timeout, 0.001))
    if isinstance(answer, str):
        return _unreachable(request, answer)
    wrong = fault(request.check.check, answer)
    return CheckResult(
        check=request.check,
        passed=not wrong,
        detail=f"{request.whom}: {wrong or f'answered {answer.status}'}",
        answered_by=Slot.named(answer.header(SLOT_HEADER) or ""),
    )


def _answer(request: Request, *, clock: Clock, timeout: Seconds) -> Answer | str:
    """The whole answer, or why there is none."""
    import http.client

    wanted = request.check.check
    headers = {"User-Agent": "bluegreen-check", **dict(wanted.request_headers)}
    connection = http.client.HTTPConnection(request.address, timeout=timeout)
    began = clock.now()
    try:
        connection.request(wanted.method, wanted.path, body=wanted.body.encode() or None, headers=headers)
        answer = connection.getresponse()
        body = answer.read(_BODY_LIMIT)
        cut = bool(answer.length) and len(body) < _BODY_LIMIT  # which http.client takes for the end
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    if cut:
        return "the answer was cut off"
    took = clock.now() - began
    return Answer(
        status=answer.status, headers=tuple(answer.getheaders()), body=body.decode(errors="replace"), took=took
    )


def _unreachable(request: Request, why: str) -> CheckResult:
    return CheckResult(check=request.check, passed=None, detail=f"{request.whom}: not reachable: {why}")
