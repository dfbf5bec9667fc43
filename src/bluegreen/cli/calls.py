"""Every call of the command line into the rest of the program, in one place, each importing only what it needs.

The commands get an object of this class, so that a test can hand them another one.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.cli.session import Kind
from bluegreen.domain.errors import BluegreenError, NotStarted, UsageError
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bluegreen.cli.screen import Listener
    from bluegreen.cli.session import Session
    from bluegreen.cli.views.history import Unread
    from bluegreen.cli.views.status import Address, Status
    from bluegreen.domain.errors import ExitCode
    from bluegreen.domain.events import Event
    from bluegreen.domain.image import ImageReference
    from bluegreen.domain.plan import Options
    from bluegreen.domain.release import Run
    from bluegreen.domain.stack import Slot, Stack
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Finding, Journal, LogTail
    from bluegreen.wiring.common import World
    from bluegreen.wiring.kubernetes import Place

    Emit = Callable[[Event], None]
    Ending = Callable[[BluegreenError | None], None]
    """Told when the main work of a command is over: with the error it ended with, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a deploy is to do: ``images`` by service."""

    images: Mapping[str, ImageReference]
    options: Options
    dry_run: bool


class Calls:
    """The program, as the commands see it. Every method raises BluegreenError."""

    def stack(self, session: Session) -> Stack:
        """The stack that a deploy would release, for its options; before the first ``up`` the app file's."""
        if session.platform is Kind.KUBERNETES:
            from bluegreen.wiring.kubernetes import stack_of

            return stack_of(session.app)
        from bluegreen.wiring import local

        try:
            return local.stack_of(state=session.state, app=session.app)
        except NotStarted:
            from bluegreen.appfile import load_app

            return load_app(session.app).stack

    def up(self, session: Session, *, ports: Mapping[str, int], emit: Emit) -> None:
        """Start the stack. ``ports``: of this machine, by full or short name."""
        if session.platform is Kind.KUBERNETES:
            from bluegreen.wiring import kubernetes

            if ports:
                raise UsageError("--port is for one machine", mend="on Kubernetes the chart's Services say the ports")
            kubernetes.up(_place(session), emit=emit)
            return
        from bluegreen.wiring import local

        local.up(state=session.state, app=session.app, ports=ports, emit=emit)

    def down(self, session: Session, *, purge: bool, emit: Emit) -> bool:
        """End the stack on this machine; whether there was anything to end."""
        if session.platform is Kind.KUBERNETES:
            raise UsageError("down is for one machine", mend="on Kubernetes the chart's owner ends it: helm uninstall")
        from bluegreen.wiring import local

        return local.down(state=session.state, purge=purge, emit=emit)

    def deploy(self, session: Session, order: Order, *, emit: Emit, ended: Ending) -> ExitCode:
        """Release what is ordered, and with ``options.verify`` stay until the checklist is judged.

        ``ended`` is called when the release is over and its lock given back, before that wait: with the error if it
        was refused, for by then users may have been brought back from what a killed run had left.
        """
        from bluegreen.domain.errors import ExitCode
        from bluegreen.pipeline.release import release
        from bluegreen.pipeline.verify import verify

        with _world_of_release(session, emit) as world:
            try:
                code = release(world.tools, images=order.images, options=order.options, dry_run=order.dry_run)
            except BluegreenError as error:
                ended(error)
                raise
            ended(None)
            if order.options.verify and code is ExitCode.OK and not order.dry_run:
                return verify(world.tools)
            return code

    def verify(self, session: Session, *, release: str | None, wait: bool, emit: Emit) -> ExitCode:
        """Judge a release's checklist; None: the newest one's."""
        from bluegreen.pipeline.verify import verify

        with _world(session, emit) as world:
            return verify(world.tools, release=release, wait=wait)

    def rollback(self, session: Session, *, to: Slot | None, cold: bool, reason: str, emit: Emit) -> ExitCode:
        """Bring users back."""
        from bluegreen.pipeline.rollback import rollback

        with _world(session, emit) as world:
            return rollback(world.tools, to=to, cold=cold, reason=reason)

    def check_contacts(self, session: Session, *, emit: Emit) -> None:
        """Refuse addresses for notices that are none, and say when nothing can be sent to them."""
        if _names_contacts(session):
            from bluegreen.wiring.notices import check

            check(session.notify, session.app, emit=emit)

    def notify(
        self, session: Session, events: Sequence[Event], error: BluegreenError | None = None, *, listener: Listener
    ) -> None:
        """Tell people of a run that is over and drawn, where somebody wants to know. Raises nothing.

        ``error``: with which it ended.
        """
        if not events or not _names_contacts(session):
            return
        from bluegreen.domain.events import Warned
        from bluegreen.wiring.notices import LIMIT, tell

        listener.flush(limit=LIMIT)
        try:
            for event in tell(session.notify, session.app, events, error):
                listener(event)
        except BluegreenError as failure:
            listener(Warned(text=f"nobody was told: {failure}", mend=failure.mend))
        except Exception as fault:  # noqa: BLE001 - the run is over, and how it ended stands
            listener(Warned(text=f"nobody was told: a fault of ours, {type(fault).__name__}"))

    def status(self, session: Session) -> Status:
        """What serves now."""
        from bluegreen.cli.views.status import look

        with _world(session, _nobody) as world:
            tools = world.tools
            live, (runs, unread) = tools.snapshot(), _all_runs(tools)
            return look(
                stack=tools.stack,
                snapshot=live,
                runs=runs,
                addresses=_addresses(world),
                unread=unread,
                untold=world.untold,
            )

    def examine(self, session: Session) -> Sequence[Finding]:
        """What speaks against a release, and what one would lose."""
        if session.platform is Kind.KUBERNETES:
            from bluegreen.wiring import kubernetes

            return kubernetes.examine(_place(session))
        from bluegreen.wiring import local

        return local.examine(state=session.state, app=session.app)

    def runs(self, session: Session, *, newest: int) -> Sequence[Run | Unread]:
        """The newest runs, newest first; one that cannot be read hides no other."""
        with _world(session, _nobody) as world:
            journal = world.tools.journal
            found = (run_or_why(journal, name) for name in journal.runs(newest=newest))
            return tuple(run for run in found if run is not None)

    def run(self, session: Session, name: str) -> Run | None:
        """One run; None: there is none of that name."""
        from bluegreen.domain.release import fold

        with _world(session, _nobody) as world:
            return fold(world.tools.journal.entries(name))

    def logs(self, session: Session, *, service: str | None, slot: Slot | None, lines: int) -> Sequence[LogTail]:
        """The last lines of the replicas' logs. ``service``: by its full or short name."""
        from bluegreen.cli.arguments import service_named

        with _world(session, _nobody) as world:
            stack = world.tools.stack
            names = stack.names if service is None else (service_named(stack, service).name,)
            return world.tails(names, slot=slot, lines=lines)


def run_or_why(journal: Journal, name: str) -> Run | Unread | None:
    """One run; None: it has no entry any more."""
    from bluegreen.cli.views.history import Unread
    from bluegreen.domain.errors import JournalError
    from bluegreen.domain.release import fold

    try:
        return fold(journal.entries(name))
    except JournalError as error:
        return Unread(id=name, why=str(error), mend=error.mend)


def _all_runs(tools: Tools) -> tuple[Sequence[Run], str]:
    """All of them, or why the journal cannot be read: where users are is to be seen all the same."""
    from bluegreen.domain.errors import JournalError

    try:
        return tuple(tools.runs()), ""
    except JournalError as error:
        return (), str(error)


@contextmanager
def _world_of_release(session: Session, emit: Emit) -> Iterator[World]:
    """The world of ``deploy``: the app file as it is now, and patience with a cluster that does not answer."""
    if session.platform is Kind.KUBERNETES:
        from bluegreen.wiring import kubernetes

        with kubernetes.open_world(_place(session), emit=emit, releases=True) as world:
            yield world
        return
    from bluegreen.wiring import local

    with local.open_world(state=session.state, app=session.app, prometheus=session.prometheus, emit=emit) as world:
        yield world


@contextmanager
def _world(session: Session, emit: Emit) -> Iterator[World]:
    """The world of every other command."""
    if session.platform is Kind.KUBERNETES:
        from bluegreen.wiring import kubernetes

        with kubernetes.open_world(_place(session), emit=emit) as world:
            _collect_again()
            yield world
        return
    from bluegreen.wiring import local

    with local.open_world_fast(state=session.state, emit=emit) as world:
        _collect_again()
        yield world


def _names_contacts(session: Session) -> bool:
    """Whether there may be somebody to tell. An app file without the word is not read: that costs a rollback 29 ms."""
    if session.notify:
        return True
    path = session.app or Path("bluegreen.yaml")
    try:
        return b"notify" in path.read_bytes() if path.is_file() else path.exists()  # a pipe is refused when it is read
    except OSError:
        return False


def _collect_again() -> None:
    """Look for garbage from here on, but not in what was there before (see __main__)."""
    gc.freeze()
    gc.enable()


def _place(session: Session) -> Place:
    from bluegreen.wiring.kubernetes import Place

    return Place(
        app=session.app,
        namespace=session.namespace,
        context=session.context,
        direct=session.direct,
        prometheus=session.prometheus,
    )


def _addresses(world: World) -> list[Address]:
    from bluegreen.cli.views.status import Address, Preview

    return [
        Address(
            service=each.service,
            users=each.users,
            previews=tuple(Preview(slot=slot, at=at) for slot, at in each.slots),
        )
        for each in world.addresses
    ]


def _nobody(event: Event) -> None:
    """Reading commands tell no events."""
