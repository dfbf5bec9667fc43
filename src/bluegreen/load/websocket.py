"""Long-lived WebSockets: each message is a request, and its echo the answer.

Decides the cause of a message that got no echo. A socket whose server says 1001 or 1012 has moved: messages it
had not answered are told as such, and the next message due opens a new socket openly, its latency included. Any
other end is a break: it costs the messages under way or, when there are none, one request of its own, because
the user of a long-lived socket has lost it either way.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from bluegreen.load.exchange import NAME_KEPT, USER_AGENT, Connections
from bluegreen.load.record import ABNORMAL, MOVED_CODES, Cause, Outcome
from bluegreen.load.wire import Fault, broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.protocol import Event

    from bluegreen.load.patience import Patience
    from bluegreen.load.plan import KindPlan
    from bluegreen.load.wire import Connector, Wire

FAREWELL: Final = 1.0
"""Seconds that a server gets to answer the close at the end of a run; no request waits for it."""


@dataclass(frozen=True, slots=True)
class Echo:
    """An answer on a WebSocket: the text that was sent, and who sends it back."""

    text: str
    slot: str = ""
    version: str = ""


def read_echo(message: str) -> Echo:
    """Read ``{"echo": TEXT, "slot": SLOT, "version": VERSION}``; anything else is taken as the bare text."""
    try:
        fields = json.loads(message)
    except ValueError:
        return Echo(message)
    if not isinstance(fields, dict) or "echo" not in fields:
        return Echo(message)
    slot, version = (str(fields.get(name, ""))[:NAME_KEPT] for name in ("slot", "version"))
    return Echo(str(fields["echo"]), slot=slot, version=version)


class Session:
    """One WebSocket from handshake to close."""

    def __init__(self, wire: Wire, *, uri: str) -> None:
        """``wire`` is open and nothing was sent on it."""
        self._wire = wire
        self._peer = ClientProtocol(parse_uri(uri))
        self._response: Response | None = None
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._late: set[str] = set()
        self._parts: list[bytes] = []
        self._slot = ""
        self._version = ""
        self.leaving = False

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self._peer.state is State.OPEN and self._wire.end is None

    async def open_up(self) -> None:
        """Make the handshake. Raises Fault with what went wrong; a time limit is the caller's business."""
        request = self._peer.connect()
        request.headers["User-Agent"] = USER_AGENT
        self._peer.send_request(request)
        self._flush()
        begun = False
        while self._peer.state is State.CONNECTING:
            begun |= await self._pump()
            if self._peer.handshake_exc is not None:
                raise Fault(self._refusal(first_byte=begun))

    async def read_on(self) -> Outcome:
        """Hand out echoes until the socket ends. Returns how it ended, as the messages under way are to see it."""
        while self._peer.state is State.OPEN:
            await self._pump()
            self._flush()
        self._wire.retire()
        return self._ending()

    async def echo(self, text: str) -> Outcome:
        """Send a message and wait for its echo or the end of the socket."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[text] = future
        self._peer.send_text(text.encode())
        self._flush()
        try:
            return await future
        finally:
            if self._waiting.pop(text, None) is not None:
                self._late.add(text)

    def end_waiting(self, outcome: Outcome) -> int:
        """Give ``outcome`` to every message under way. Returns how many there were."""
        waiting = [future for future in self._waiting.values() if not future.done()]
        self._waiting.clear()
        for future in waiting:
            future.set_result(outcome)
        return len(waiting)

    def leave(self) -> None:
        """Say goodbye, as a client that has finished; what the server then does is no break."""
        self.leaving = True
        if self.open:
            self._peer.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()

    def given_up(self) -> Outcome:
        """The outcome of a message that is no longer waited for: who was to answer it, as far as is known."""
        return self._outcome(Cause.TIMEOUT)

    async def _pump(self) -> bool:
        """Take in what arrives next. Returns whether there was anything before the end."""
        data = await self._wire.receive()
        if data:
            self._peer.receive_data(data)
        else:
            self._peer.receive_eof()
        for event in self._peer.events_received():
            self._take(event)
        return bool(data)

    def _take(self, event: Event) -> None:
        if isinstance(event, Response):
            self._response = event
            self._slot = event.headers.get("X-Slot", "")[:NAME_KEPT]
            self._version = event.headers.get("X-Version", "")[:NAME_KEPT]
        elif isinstance(event, Frame) and event.opcode in _MESSAGE:
            self._parts.append(bytes(event.data))
            if event.fin:
                self._take_message(b"".join(self._parts).decode(errors="replace"))
                self._parts.clear()

    def _take_message(self, message: str) -> None:
        """Answer the message whose echo this is; an echo of nothing that was sent is the oldest one's, and wrong."""
        echo = read_echo(message)
        self._slot, self._version = echo.slot or self._slot, echo.version or self._version
        if echo.text in self._late:
            self._late.discard(echo.text)
        elif echo.text in self._waiting:
            self._answer(echo.text, Cause.NONE)
        elif self._waiting:
            self._answer(next(iter(self._waiting)), Cause.WRONG_BODY)

    def _answer(self, text: str, cause: Cause) -> None:
        future = self._waiting.pop(text)
        if not future.done():
            future.set_result(self._outcome(cause))

    def _refusal(self, *, first_byte: bool) -> Outcome:
        response = self._response
        if response is not None and response.status_code != 101:
            return replace(self._outcome(Cause.WRONG_STATUS), status=response.status_code)
        if self._wire.end is not None:
            return broken(self._wire.end, first_byte=first_byte, reused=False)
        return self._outcome(Cause.MALFORMED)

    def _ending(self) -> Outcome:
        close, end = self._peer.close_rcvd, self._wire.end
        if close is not None:
            return replace(self._outcome(Cause.WS_CLOSED), code=close.code)
        if end is not None:
            return replace(self._outcome(Cause.WS_CLOSED), code=ABNORMAL, fault_at=end.at)
        return self._outcome(Cause.MALFORMED)

    def _outcome(self, cause: Cause) -> Outcome:
        return Outcome(cause=cause, slot=self._slot, version=self._version)

    def _flush(self) -> None:
        for data in self._peer.data_to_send():
            self._wire.write(data)


_MESSAGE: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


@dataclass(slots=True)
class _Seat:
    """A place for one socket at a time, as one user has it."""

    lock: asyncio.Lock
    session: Session | None = None
    connected: bool = False
    """Whether the handshake under way has a connection: tells a connect that hangs from an answer that does."""


class WebSocketClient:
    """The client of the WebSocket kind. Its sockets take turns in sending."""

    def __init__(
        self,
        plan: KindPlan,
        connector: Connector,
        *,
        patience: Patience,
        tasks: asyncio.TaskGroup,
        lost: Callable[[Outcome], None],
    ) -> None:
        """Opens nothing yet. ``lost`` is told of each break with no message under way."""
        self._plan = plan
        self._connector = connector
        self._patience = patience
        self._tasks = tasks
        self._lost = lost
        self._uri = f"ws://{connector.target.host}{plan.path or connector.target.path}"
        self._seats = [_Seat(asyncio.Lock()) for _ in range(plan.connections)]
        self._watchers: set[asyncio.Task[None]] = set()
        self.connections = Connections()

    async def request(self, number: int) -> Outcome:
        """Send one message, once, and wait for its echo. The outcome says how it ended."""
        seat = self._seats[number % len(self._seats)]
        session: Session | None = None
        try:
            async with self._patience.limit(self._plan.timeout + self._plan.takes):
                session = await self._session(seat)
                return await session.echo(f"counted-once-{number}")
        except Fault as fault:
            return fault.outcome
        except TimeoutError:
            if session is not None:
                return session.given_up()
            return Outcome(cause=_HANGS[seat.connected])

    async def close(self) -> None:
        """Say goodbye on every socket and wait a moment for the answers."""
        for seat in self._seats:
            if seat.session is not None:
                seat.session.leave()
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=FAREWELL)

    async def _session(self, seat: _Seat) -> Session:
        """The open socket of that seat: a new one if the last has ended. Messages due meanwhile wait for it."""
        async with seat.lock:
            if seat.session is None or not seat.session.open:
                seat.session = await self._open(seat)
            return seat.session

    async def _open(self, seat: _Seat) -> Session:
        seat.connected = False
        wire = await self._connector.connect()
        seat.connected = True
        session = Session(wire, uri=self._uri)
        try:
            await session.open_up()
        except BaseException:
            wire.abort()
            raise
        self.connections.opened += 1
        watcher = self._tasks.create_task(self._watch(session))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return session

    async def _watch(self, session: Session) -> None:
        ending = await session.read_on()
        waiting = session.end_waiting(ending)
        if session.leaving:
            return
        if ending.code in MOVED_CODES:
            self.connections.moved += 1
            return
        codes = self.connections.closed_by_code
        codes[ending.code] = codes.get(ending.code, 0) + 1
        if not waiting:
            self._lost(ending)


_HANGS: Final = {False: Cause.CONNECT_TIMEOUT, True: Cause.TIMEOUT}
