"""HTTP/1.1 over a wire: one request, one answer, and the pool of kept-alive connections.

Decides the cause of an HTTP request that went wrong, and when a connection is used again. A connection that the
server closed after announcing it is replaced openly. One that broke without a word costs exactly the request that
suffers from it: the one under way, or, when it broke while idle, the next one due on it. That is what a client
that does not watch its idle connections sees, and it keeps a break from going unnoticed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import h11

from bluegreen.load.plan import Kind
from bluegreen.load.record import COMPLETE, Cause, Outcome
from bluegreen.load.wire import Fault, broken

if TYPE_CHECKING:
    from bluegreen.load.patience import Patience
    from bluegreen.load.plan import KindPlan, Target
    from bluegreen.load.wire import Connector, Wire

BODY_KEPT: Final = 65536
NAME_KEPT: Final = 100
POST_BODY: Final = b'{"message": "counted once"}'
USER_AGENT: Final = "bluegreen-load"


@dataclass(slots=True)
class Connections:
    """What became of the connections of one kind."""

    opened: int = 0
    announced: int = 0
    """Closed by the server after it had said so, and replaced."""
    broke_in_use: int = 0
    broke_idle: int = 0
    """Ended by the server without a word while nothing was under way."""
    moved: int = 0
    """WebSockets told to connect anew (1001, 1012)."""
    closed_by_code: dict[int, int] = field(default_factory=dict)
    """WebSockets that ended otherwise, by close code."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, made once and sent many times."""

    request: h11.Request
    body: bytes
    contains: bytes


def make_ask(plan: KindPlan, target: Target) -> Ask:
    """The request of a kind, in HTTP terms."""
    headers = [("Host", target.host), ("User-Agent", USER_AGENT), ("Accept", "*/*")]
    if plan.connections == 0:
        headers.append(("Connection", "close"))
    method, body = "GET", b""
    if plan.kind is Kind.POST:
        method, body = "POST", POST_BODY
        headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    request = h11.Request(method=method, target=plan.path or target.path, headers=headers)
    return Ask(request=request, body=body, contains=plan.contains.encode(errors="surrogateescape"))


@dataclass(slots=True)
class _Answer:
    """What has arrived of an answer so far."""

    begun: bool = False
    status: int = 0
    slot: str = ""
    version: str = ""
    body: bytearray = field(default_factory=bytearray)

    def head(self, response: h11.Response) -> None:
        self.status = response.status_code
        for name, value in response.headers:
            if name == b"x-slot":
                self.slot = value.decode("latin-1")[:NAME_KEPT]
            elif name == b"x-version":
                self.version = value.decode("latin-1")[:NAME_KEPT]

    def outcome(self, cause: Cause) -> Outcome:
        return Outcome(cause=cause, status=self.status, slot=self.slot, version=self.version)

    def judged(self, contains: bytes) -> Outcome:
        """What a complete answer is."""
        if self.status != 200:
            return self.outcome(Cause.WRONG_STATUS)
        if contains not in self.body:
            return self.outcome(Cause.WRONG_BODY)
        return self.outcome(Cause.NONE)


class Line:
    """One connection that speaks HTTP, one request at a time."""

    def __init__(self, wire: Wire) -> None:
        """``wire`` is open and nothing was sent on it."""
        self.wire = wire
        self._peer = h11.Connection(h11.CLIENT)
        self._answer = _Answer()
        self._used = False
        self.broke_idle = False
        """Whether it was found broken when it was to be used again."""

    @property
    def told_to_close(self) -> bool:
        """Whether the last answer, if it was whole, or its request announced the end of this connection."""
        return self._peer.our_state is h11.MUST_CLOSE

    async def converse(self, ask: Ask) -> Outcome:
        """Send a request and wait for the whole answer, or for the break. Takes as long as it takes."""
        reused, self._used = self._used, True
        self._answer = answer = _Answer()
        try:
            self._send(ask, reused=reused)
            while not await self._advance():
                pass
        except h11.RemoteProtocolError:
            return answer.outcome(Cause.MALFORMED)
        except EOFError:
            return self._broken(reused=reused)
        return answer.judged(ask.contains)

    def given_up(self, cause: Cause) -> Outcome:
        """The outcome of a request that is no longer waited for, with what is known of its answer."""
        return self._answer.outcome(cause)

    def _send(self, ask: Ask, *, reused: bool) -> None:
        if self.wire.end is not None:
            self.broke_idle = reused
            raise EOFError
        if self.wire.unread or self._peer.trailing_data[0]:
            raise h11.RemoteProtocolError("bytes that no request asked for")
        if reused:
            self._peer.start_next_cycle()
        data = self._peer.send(ask.request) or b""
        if ask.body:
            data += self._peer.send(h11.Data(data=ask.body)) or b""
        self.wire.write(data + (self._peer.send(h11.EndOfMessage()) or b""))

    async def _advance(self) -> bool:
        """Take one event of the answer; true after the last one. Raises EOFError at a break."""
        event = self._peer.next_event()
        if event is h11.NEED_DATA:
            await self._feed()
        elif isinstance(event, h11.Response):
            self._answer.head(event)
        elif isinstance(event, h11.Data) and len(self._answer.body) < BODY_KEPT:
            self._answer.body += event.data
        return isinstance(event, h11.EndOfMessage)

    async def _feed(self) -> None:
        data = await self.wire.receive()
        if not data:
            raise EOFError
        self._answer.begun = True
        self._peer.receive_data(data)

    def _broken(self, *, reused: bool) -> Outcome:
        if self.wire.end is None:
            raise RuntimeError("a wire that has not ended gave no bytes")
        answer = self._answer
        return broken(self.wire.end, first_byte=answer.begun, reused=reused, slot=answer.slot, version=answer.version)


class HttpClient:
    """The client of one HTTP kind: a pool of kept-alive lines, or a new one for each request.

    While every line is busy a request that is due gets a further one, so that a server which stalls does not slow
    its clients down. At most as many as the plan says are kept afterwards.
    """

    def __init__(self, plan: KindPlan, connector: Connector, *, patience: Patience) -> None:
        """Opens nothing yet."""
        self._plan = plan
        self._connector = connector
        self._patience = patience
        self._ask = make_ask(plan, connector.target)
        self._idle: deque[Line] = deque()
        self._alive = 0
        self.connections = Connections()

    async def request(self, number: int) -> Outcome:
        """Make one request, once. The outcome says how it ended."""
        del number
        line: Line | None = None
        try:
            async with self._patience.limit(self._plan.timeout + self._plan.takes):
                line = await self._take()
                outcome = await line.converse(self._ask)
        except Fault as fault:
            return fault.outcome
        except TimeoutError:
            return self._timed_out(line)
        except asyncio.CancelledError:
            self._drop(line)
            raise
        self._put_back(line, outcome)
        return outcome

    async def close(self) -> None:
        """Let go of the idle lines. Those that broke since they were last used are told in ``connections``."""
        for line in self._idle:
            if line.wire.end is not None:
                self.connections.broke_idle += 1
            line.wire.abort()
        self._idle.clear()

    async def _take(self) -> Line:
        """A line to use. Lines take turns, so that a break on any of them is found."""
        if self._idle and self._alive >= self._plan.connections:
            return self._idle.popleft()
        self._alive += 1
        try:
            line = Line(await self._connector.connect())
        except BaseException:
            self._alive -= 1
            raise
        self.connections.opened += 1
        return line

    def _timed_out(self, line: Line | None) -> Outcome:
        if line is None:
            return Outcome(cause=Cause.CONNECT_TIMEOUT)
        self._drop(line)
        return line.given_up(Cause.TIMEOUT)

    def _put_back(self, line: Line, outcome: Outcome) -> None:
        """Keep the line for another request, or part with it in the way that its last answer asks for."""
        if outcome.cause not in COMPLETE:
            self._note_break(line, outcome)
            self._drop(line)
        elif line.told_to_close:
            self.connections.announced += self._plan.connections > 0
            self._alive -= 1
            line.wire.retire()
        elif len(self._idle) < self._plan.connections:
            self._idle.append(line)
        else:
            self._drop(line)

    def _note_break(self, line: Line, outcome: Outcome) -> None:
        if line.broke_idle:
            self.connections.broke_idle += 1
        elif outcome.fault_at is not None:
            self.connections.broke_in_use += 1

    def _drop(self, line: Line | None) -> None:
        if line is not None:
            self._alive -= 1
            line.wire.abort()
