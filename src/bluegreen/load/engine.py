"""The run: sends each request when it is due and accounts for each exactly once.

Decides when a request is sent and when the run is over. Open loop: what is due is sent whether or not earlier
requests have been answered, and how late the generator itself was is part of the record. Nothing is repeated, no
grace is given: at the end it waits for what is under way, up to each one's own time limit (``patience``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bluegreen.load.exchange import HttpClient
from bluegreen.load.patience import Patience
from bluegreen.load.plan import Kind, resolve
from bluegreen.load.record import Cause, Clock, Outcome, Record, Records
from bluegreen.load.result import LoadResult, Run
from bluegreen.load.websocket import WebSocketClient
from bluegreen.load.wire import Budget, Connector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluegreen.load.plan import KindPlan, LoadPlan, Seconds, Target
    from bluegreen.load.record import Micros

    Client = HttpClient | WebSocketClient

PROGRESS_EVERY: Final = 5.0
LAG_LIMIT: Final = 1_000_000
"""Microseconds after the planned end at which a generator that is too late stops sending, and says how many it owes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is."""

    seconds: Seconds
    requests: int
    """Accounted for."""
    under_way: int
    wrong: int
    """Those of them that ended with any cause but none."""


class Stop:
    """A wish to end a run: the first stops the sending, the second the waiting for answers."""

    def __init__(self) -> None:
        """Nothing is wished yet."""
        self.sending = asyncio.Event()
        self.waiting = asyncio.Event()

    def ask(self) -> None:
        """Wish it once more. Call it on the loop's own thread."""
        if self.sending.is_set():
            self.waiting.set()
        self.sending.set()


def run(plan: LoadPlan, *, progress: Callable[[Progress], None] | None = None) -> LoadResult:
    """Run ``plan`` to its end and return what was counted. Raises PlanError for a target that is refused."""
    return asyncio.run(run_async(plan, progress=progress))


async def run_async(
    plan: LoadPlan, *, stop: Stop | None = None, progress: Callable[[Progress], None] | None = None
) -> LoadResult:
    """Run ``plan`` on this loop, until its end or until ``stop`` asks for it.

    ``progress`` is called every few seconds. Raises PlanError for a target that is refused.
    """
    target = resolve(plan)
    return await _Engine(plan, target, stop or Stop()).run(progress)


class _Engine:
    def __init__(self, plan: LoadPlan, target: Target, stop: Stop) -> None:
        self._plan = plan
        self._stop = stop
        self._clock = Clock()
        self._records = Records(start=self._clock.start)
        self._budget = Budget(plan.max_connections)
        self._patience = Patience(self._clock)
        self._connector = Connector(target, clock=self._clock, budget=self._budget)
        self._under_way: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._launched = 0
        self._sessions_lost = 0
        self._wrong = 0

    async def run(self, progress: Callable[[Progress], None] | None) -> LoadResult:
        clients: dict[Kind, Client] = {}
        async with asyncio.TaskGroup() as tasks:
            clients.update((kind.kind, self._client(kind, tasks)) for kind in self._plan.kinds)
            watch = tasks.create_task(self._tell(progress))
            with self._patience.watching():
                await self._send_all(clients, tasks)
                await self._wait_for_answers()
            ended = self._clock.now()
            watch.cancel()
            for client in clients.values():
                await client.close()
            await self._budget.end_all()
        return self._result(clients, ended=ended)

    def _client(self, kind: KindPlan, tasks: asyncio.TaskGroup) -> Client:
        if kind.kind is Kind.WEBSOCKET:
            return WebSocketClient(kind, self._connector, patience=self._patience, tasks=tasks, lost=self._lose_session)
        return HttpClient(kind, self._connector, patience=self._patience)

    async def _send_all(self, clients: dict[Kind, Client], tasks: asyncio.TaskGroup) -> None:
        """Send until the plan's end, or until somebody asks to stop."""
        schedules = [
            tasks.create_task(self._send(kind, clients[kind.kind], tasks, offset=offset))
            for kind, offset in zip(self._plan.kinds, _offsets(self._plan.kinds), strict=True)
        ]
        stop = tasks.create_task(self._cancel_when_stopped(schedules))
        await asyncio.wait(schedules)
        stop.cancel()

    async def _cancel_when_stopped(self, schedules: Sequence[asyncio.Task[None]]) -> None:
        await self._stop.sending.wait()
        for schedule in schedules:
            schedule.cancel()

    async def _send(self, kind: KindPlan, client: Client, tasks: asyncio.TaskGroup, *, offset: float) -> None:
        """Send each request of one kind when it is due."""
        start = self._clock.start
        last = start + int(self._plan.duration * 1e6) + LAG_LIMIT
        for number in range(kind.requests(self._plan.duration)):
            due = start + int((offset + number / kind.rate) * 1e6)
            now = self._clock.now()
            if now > last:
                return
            await asyncio.sleep(max(0, due - now) / 1e6)
            self._launch(tasks, kind, client, number=number, due=due)

    def _launch(self, tasks: asyncio.TaskGroup, kind: KindPlan, client: Client, *, number: int, due: Micros) -> None:
        self._launched += 1
        task = tasks.create_task(self._account(kind, client, number=number, due=due))
        self._under_way.add(task)
        self._idle.clear()
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not self._under_way:
            self._idle.set()

    async def _account(self, kind: KindPlan, client: Client, *, number: int, due: Micros) -> None:
        """Make one request and keep its one record, however it ends."""
        sent = max(due, self._clock.now())
        try:
            outcome = await client.request(number)
        except asyncio.CancelledError:
            outcome = Outcome(cause=Cause.IN_FLIGHT_AT_END)
        end = max(sent, self._clock.now())
        self._keep(kind.kind, _late(outcome, end - sent, kind, self._plan), due=due, sent=sent, end=end)

    def _lose_session(self, outcome: Outcome) -> None:
        """A WebSocket broke with nothing under way: that counts as one request, due and sent as it broke."""
        self._sessions_lost += 1
        now = self._clock.now()
        self._keep(Kind.WEBSOCKET, outcome, due=now, sent=now, end=now)

    def _keep(self, kind: Kind, outcome: Outcome, *, due: Micros, sent: Micros, end: Micros) -> None:
        self._wrong += outcome.cause is not Cause.NONE
        self._records.add(
            Record(
                kind=kind,
                due=due,
                sent=sent,
                end=end,
                fault=outcome.fault_at or end,
                cause=outcome.cause,
                status=outcome.status,
                code=outcome.code,
                slot=outcome.slot,
                version=outcome.version,
                how=outcome.how,
            )
        )

    async def _wait_for_answers(self) -> None:
        """Wait for what is under way; each ends at its own time limit, or now if somebody asks a second time."""
        await asyncio.sleep(0)  # a task that has not begun yet could not account for its request
        waits = [asyncio.ensure_future(event.wait()) for event in (self._idle, self._stop.waiting)]
        if self._under_way:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in (*waits, *self._under_way):
            task.cancel()
        await asyncio.gather(*waits, *self._under_way, return_exceptions=True)

    async def _tell(self, progress: Callable[[Progress], None] | None) -> None:
        while progress is not None:
            await asyncio.sleep(PROGRESS_EVERY)
            seconds = (self._clock.now() - self._clock.start) / 1e6
            under_way = len(self._under_way)
            progress(Progress(seconds=seconds, requests=len(self._records), under_way=under_way, wrong=self._wrong))

    def _result(self, clients: dict[Kind, Client], *, ended: Micros) -> LoadResult:
        if len(self._records) != self._launched + self._sessions_lost:
            raise RuntimeError(
                f"miscounted: {self._launched} sent, {self._sessions_lost} sockets lost, "
                f"{len(self._records)} accounted for; please report this"
            )
        facts = Run(
            plan=self._plan,
            seconds=(ended - self._clock.start) / 1e6,
            stopped_early=self._stop.sending.is_set(),
            unsent=self._plan.requests - self._launched,
            sessions_lost=self._sessions_lost,
            standstills=tuple(self._patience.standstills),
            connections={kind: client.connections for kind, client in clients.items()},
        )
        return LoadResult.of(facts, self._records, bad_versions=self._plan.bad_versions, crash_windows=())


def _offsets(kinds: tuple[KindPlan, ...]) -> list[Seconds]:
    """When the first request of each kind is due: kinds of the same rate take turns instead of bursting together."""
    return [(index + 1) / (len(kinds) + 1) / kind.rate for index, kind in enumerate(kinds)]


def _late(outcome: Outcome, took: Micros, kind: KindPlan, plan: LoadPlan) -> Outcome:
    """``outcome``, noted as too slow where the plan has a limit and nothing else is wrong."""
    if plan.slow_over_ms is None or outcome.cause is not Cause.NONE:
        return outcome
    if took <= (plan.slow_over_ms / 1e3 + kind.takes) * 1e6:
        return outcome
    return replace(outcome, cause=Cause.TOO_SLOW)
