"""A look at the replicas without the agent: one readiness request to each, all at once.

This is what a rollback sees when agent and supervisord are dead: who answers, and nothing of restarts.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING

from bluegreen.domain.snapshot import Container, Pod, Running, Waiting
from bluegreen.platforms.local.addresses import ADDRESS
from bluegreen.platforms.local.fanout import results
from bluegreen.platforms.local.probes import Answer

_HEAD = 4096
_LEAST: Seconds = 0.001
"""What a socket takes for a limit."""
_REFUSED = Answer(why="was refused: nobody listens")
_NO_AGENT = "no agent watches it; bluegreen up starts both"

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.domain.stack import Instant, Probe, Seconds
    from bluegreen.platforms.local.store import Replica
    from bluegreen.platforms.local.tally import Count
    from bluegreen.ports import Clock


def look(
    replicas: Sequence[tuple[Replica, Probe]], *, clock: Clock, until: Instant, tally: Mapping[str, Count]
) -> tuple[Pod, ...]:
    """Ask each replica's readiness path. ``tally``: what the agent had counted."""
    limit = max(_LEAST, until - clock.now())
    tasks = [partial(ask, replica.port, probe.path, timeout=min(limit, probe.timeout)) for replica, probe in replicas]
    answers = results(tasks, clock=clock, until=until)
    late = Answer(why=f"did not answer within {limit:.1f} s")
    return tuple(
        _pod(replica, probe, answer or late, tally.get(replica.pod))
        for (replica, probe), answer in zip(replicas, answers, strict=True)
    )


def ask(port: int, path: str, *, timeout: Seconds) -> Answer:
    """One request, of which only the status counts. Never raises."""
    try:
        with socket.create_connection((ADDRESS, port), timeout=timeout) as connection:
            connection.sendall(request_text(port, path))
            return status_of(connection.recv(_HEAD))
    except TimeoutError:
        return Answer(why=f"did not answer within {timeout:g} s")
    except ConnectionRefusedError:
        return _REFUSED
    except OSError as error:
        return Answer(why=f"failed: {error.strerror or error}")


def request_text(port: int, path: str) -> bytes:
    """A probe as it travels."""
    lines = (f"GET {path} HTTP/1.1", f"Host: {ADDRESS}:{port}", "User-Agent: bluegreen-probe", "Connection: close")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def status_of(head: bytes) -> Answer:
    """The status in the first bytes of an answer."""
    words = head.split(b"\r\n", 1)[0].split()
    if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit():
        return Answer(status=int(words[1]))
    return Answer(why="did not answer in HTTP")


def _pod(replica: Replica, probe: Probe, answer: Answer, count: Count | None) -> Pod:
    container = Container(
        name=replica.service,
        # Only a refusal shows that no process is there; one that is slow, or says nothing, may be just busy.
        state=Waiting(reason=answer.why, message=_NO_AGENT) if answer == _REFUSED else Running(),
        last=count.last if count is not None else None,
        restarts=max(0, count.starts - 1) if count is not None else 0,
        started=answer.good,
        failing="" if answer.good else f"readiness: GET {probe.path} {answer}",
    )
    return Pod(
        name=replica.pod,
        service=replica.service,
        slot=replica.slot,
        revision=replica.revision,
        ready=answer.good,
        containers=(container,),
        address=f"{ADDRESS}:{replica.port}",
    )
