"""The resident agent: ``python -m bluegreen.platforms.local.agent STATE``, kept by supervisord.

It does what supervisord does not: it probes the replicas, has the ones started again that are alive in name only,
counts restarts, keeps logs bounded, and tells everybody who listens on its socket what it knows, at each change. It
decides nothing about releases and writes nothing but its own tally. Without supervisord it ends: it could restart
nobody, and readers then look for themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import BluegreenError, NotStarted, PlatformError
from bluegreen.platforms.local import images, logs, probes, tally
from bluegreen.platforms.local.addresses import ADDRESS
from bluegreen.platforms.local.direct import request_text, status_of
from bluegreen.platforms.local.frame import Frame, line_of
from bluegreen.platforms.local.keeper import Ended, Spawned, event_from
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.life import Life
from bluegreen.platforms.local.processes import Process, identity
from bluegreen.platforms.local.store import open_store
from bluegreen.platforms.local.supervisor import Supervisor
from bluegreen.platforms.local.template import with_template

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import Pod
    from bluegreen.domain.stack import Seconds, Service
    from bluegreen.platforms.local.probes import Answer
    from bluegreen.platforms.local.store import Record, Replica, Store
    from bluegreen.platforms.local.supervisor import ProcessInfo

_TICK: Seconds = 0.1
_RECONCILE_TICKS = 20
_BOUND_TICKS = 50
_HEARTBEAT_TICKS = 10
_SILENT_TICKS = 20
_ANSWER_LIMIT = 64 * 1024
_BACKLOG_LIMIT = 1024 * 1024


async def ask(port: int, path: str, *, timeout: Seconds) -> Answer:  # noqa: ASYNC109 - a probe's own limit
    """Send one probe. Never raises: what went wrong is the answer."""
    try:
        async with asyncio.timeout(timeout):
            head = await _first_bytes(port, path)
    except TimeoutError:
        return probes.Answer(why=f"did not answer within {timeout:g} s")
    except ConnectionRefusedError:
        return probes.Answer(why="was refused: nobody listens")
    except OSError as error:
        return probes.Answer(why=f"failed: {error.strerror or error}")
    return status_of(head)


async def _first_bytes(port: int, path: str) -> bytes:
    """The answer, read to its end so that no server sees a reset, but not kept."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(0)
        await loop.sock_connect(connection, (ADDRESS, port))
        await loop.sock_sendall(connection, request_text(port, path))
        head = await loop.sock_recv(connection, _ANSWER_LIMIT)
        read = len(head)
        while read < _ANSWER_LIMIT and (more := await loop.sock_recv(connection, _ANSWER_LIMIT)):
            read += len(more)
    return head


class Agent:
    """All replicas of one stack. Single-threaded but for the calls to supervisord."""

    def __init__(self, layout: Layout, store: Store) -> None:
        """Nothing runs before ``run``."""
        self._layout = layout
        self._store = store
        self._clock = SystemClock()
        self._supervisor = Supervisor(layout, clock=self._clock)
        self._keeper_log = logs.Follower(layout.logs / "supervisord.log")
        self._lives: dict[str, Life] = {}
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[int, int] = {}
        self._seen: tuple[int, int] | None = None
        self._counted = tally.read(layout.tally)
        self._unasked: list[Life] | None = None
        self._frame: Frame | None = None
        self._listeners: set[asyncio.StreamWriter] = set()
        self._reconcile = asyncio.Event()
        self._ticks = 0
        self._told = 0

    async def run(self) -> None:
        """Serve until supervisord is gone, or until told to end."""
        parent = os.getppid()
        self._layout.agent.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, path=self._layout.agent)
        mine = _inode(self._layout.agent)
        reconciling = asyncio.create_task(self._keep_reconciling())
        try:
            while os.getppid() == parent and not reconciling.done():
                self._tick()
                await asyncio.sleep(_TICK)
        finally:
            if _inode(self._layout.agent) == mine:  # not the next one's, which may have come meanwhile
                self._layout.agent.unlink(missing_ok=True)
            server.close()
            await self._stop([reconciling, *self._probing.values()])

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in self._listeners:
            writer.close()

    def _tick(self) -> None:
        self._ticks += 1
        version = self._store.version()
        if version != self._seen:
            self._load(self._store.record())
            self._seen = version
            self._reconcile.set()
        if self._follow():
            self._reconcile.set()
        if self._ticks % _RECONCILE_TICKS == 0:
            self._reconcile.set()
        if self._ticks % _BOUND_TICKS == 0:
            logs.bound_all(self._layout.logs)
        self._publish()

    # --- which replicas there are -----------------------------------------------------------------------------

    def _load(self, record: Record) -> None:
        known = self._lives
        self._lives = {replica.program: self._life(record, replica) for replica in record.replicas}
        for program, life in known.items():
            if self._lives.get(program) is not life:
                self._stop_probing(program)

    def _life(self, record: Record, replica: Replica) -> Life:
        """The one that we know, a remembered one after a restart of the agent, or a new one."""
        known = self._lives.get(replica.program)
        if known is not None and known.replica == replica:
            return known
        life = Life(replica=replica, service=self._service(record, replica))
        if known is None:
            self._remember(life)
        return life

    def _service(self, record: Record, replica: Replica) -> Service:
        spec = record.spec_of(replica.slot, replica.service)
        return with_template(record.stack.service(replica.service), spec.template, sealed=self._store.sealed())

    def _remember(self, life: Life) -> None:
        """Go on where the agent before this one was killed."""
        count = self._counted.get(life.replica.pod)
        if count is None:
            return
        life.starts, life.pid, life.last = count.starts, count.pid, count.last
        if life.pid:
            life.health = probes.newborn(self._clock.now())
            self._start_probing(life)

    def _write_tally(self) -> None:
        counts = {
            life.replica.pod: tally.Count(starts=life.starts, pid=life.pid, last=life.last)
            for life in self._lives.values()
        }
        with contextlib.suppress(OSError):  # a full disk costs a count, not the agent
            tally.write(self._layout.tally, counts)

    # --- what becomes of their processes ----------------------------------------------------------------------

    def _follow(self) -> bool:
        """Take what supervisord has logged since; whether there was anything about a process."""
        events = [event for line in self._keeper_log.lines() if (event := event_from(line)) is not None]
        for event in events:
            life = self._lives.get(event.name)
            if life is None:
                continue
            if isinstance(event, Spawned):
                self._began(life, event.pid)
            else:
                self._ended(life, event)
        return bool(events)

    def _began(self, life: Life, pid: int) -> None:
        if pid == life.pid:
            return
        life.begin(pid, now=self._clock.now())
        self._start_probing(life)
        self._write_tally()

    def _ended(self, life: Life, event: Ended) -> None:
        message = logs.last_line(self._layout.log(life.replica.program)) or event.how
        self._stop_probing(life.replica.program)
        life.end(exit_code=event.exit_code, message=message)
        self._write_tally()

    async def _keep_reconciling(self) -> None:
        """Compare with what supervisord says, at each sign of a change and every other second.

        The call also wakes supervisord, which otherwise starts a program again up to a second after its end.
        """
        while True:
            await self._reconcile.wait()
            self._reconcile.clear()
            known = {program: life.pid for program, life in self._lives.items()}
            try:
                infos = await asyncio.to_thread(self._supervisor.infos)
            except NotStarted:
                continue
            except PlatformError as error:
                print(f"agent: {error}", file=sys.stderr)  # noqa: T201 - its log
                continue
            self._follow()  # first, because the log knows how a process ended
            for info in infos.values():
                self._compare(info, since=known.get(info.name, 0))
            if self._unasked is None:
                self._unasked = [life for life in self._lives.values() if life.pid]

    def _compare(self, info: ProcessInfo, *, since: int) -> None:
        pid = info.pid if info.going else 0
        if pid:
            self._await_end(pid)
        life = self._lives.get(info.name)
        if life is None or not life.differs(pid, since=since):
            return
        if pid:
            self._began(life, pid)
        else:
            self._ended(life, Ended(name=info.name, exit_code=-1, how="it ended"))

    def _await_end(self, pid: int) -> None:
        """Let the kernel tell of the end, where it can: then supervisord is woken in milliseconds."""
        if pid in self._ends or not hasattr(os, "pidfd_open"):
            return
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return
        self._ends[pid] = handle
        asyncio.get_running_loop().add_reader(handle, self._at_end, pid)

    def _at_end(self, pid: int) -> None:
        handle = self._ends.pop(pid)
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
        self._reconcile.set()

    # --- probes -----------------------------------------------------------------------------------------------

    def _start_probing(self, life: Life) -> None:
        program = life.replica.program
        self._stop_probing(program)
        self._probing[program] = asyncio.create_task(self._probe(life))

    def _stop_probing(self, program: str) -> None:
        task = self._probing.pop(program, None)
        if task is not None:
            task.cancel()

    async def _probe(self, life: Life) -> None:
        """Probe one process until it ends, or until it is beyond hope; then end it."""
        while (health := life.health) is not None and not health.hopeless:
            kind, at = probes.due(health)
            await asyncio.sleep(max(0.0, at - self._clock.now()))
            probe = probes.probe_of(life.service.probed, kind)
            answer = await ask(life.replica.port, probe.path, timeout=probe.timeout)
            if life.health is not health:
                return
            life.health = probes.judged(health, kind, answer, probes=life.service.probed, now=self._clock.now())
            self._publish()
        if life.health is not None:
            await self._restart(life)

    async def _restart(self, life: Life) -> None:
        """Ask the process to end, and kill it after its grace; supervisord starts another, after a pause."""
        process = Process(pid=life.pid, identity=identity(life.pid))
        life.condemn()
        self._publish()
        process.signal(signal.SIGTERM, group=True)
        await asyncio.sleep(life.service.grace)
        process.signal(signal.SIGKILL, group=True)

    # --- telling ----------------------------------------------------------------------------------------------

    def _publish(self) -> None:
        """Tell everybody, if there is news or if it was silent for a second."""
        frame = Frame(pods=tuple(self._pod(life) for life in self._lives.values()))
        if self._silent() or (frame == self._frame and self._ticks < self._told + _HEARTBEAT_TICKS):
            return
        self._frame = frame
        self._told = self._ticks
        line = line_of(frame)
        for writer in tuple(self._listeners):
            self._tell(writer, line)

    def _silent(self) -> bool:
        """Right after its start an agent knows nothing of replicas that run; it must not call them unready.

        Whoever listens looks for itself meanwhile. Two seconds are enough for a replica that answers at all.
        """
        if self._unasked is not None:
            self._unasked = [life for life in self._unasked if life.health is not None and life.health.unasked]
        return self._unasked != [] and self._ticks < _SILENT_TICKS

    def _pod(self, life: Life) -> Pod:
        return life.pod(image_problem="" if life.pid else self._image_problem(life))

    def _image_problem(self, life: Life) -> str:
        record = self._store.record()
        try:
            image = record.spec_of(life.replica.slot, life.replica.service).image
        except KeyError:
            return ""  # the slot was ended, or staged with other services, since the last tick
        return images.problem(record.images, image, command=life.service.command)

    def _tell(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        """A listener that does not read is let go: it must not make the agent grow."""
        if writer.transport.get_write_buffer_size() > _BACKLOG_LIMIT:
            writer.transport.abort()
            return
        writer.write(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._listeners.add(writer)
        try:
            if self._frame is not None:
                writer.write(line_of(self._frame))
            with contextlib.suppress(ConnectionError):  # one that ends with lines unread, a rollback most often
                await reader.read()
        finally:
            self._listeners.discard(writer)
            writer.close()


def _inode(path: Path) -> int:
    """Which file it is now; 0: none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


async def _until_told(agent: Agent) -> None:
    """Run the agent until it is done or the process is asked to end."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    running = asyncio.create_task(agent.run())
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, waiting):
        task.cancel()
    results = await asyncio.gather(running, waiting, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


def main(arguments: list[str]) -> int:
    """Run the agent of the state folder named. An error is one line in its log."""
    layout = Layout(Path(arguments[0]))
    try:
        with open_store(layout, resident=True) as store:
            asyncio.run(_until_told(Agent(layout, store)))
    except BluegreenError as error:
        print(f"agent: {error}", file=sys.stderr)  # noqa: T201 - its log
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
