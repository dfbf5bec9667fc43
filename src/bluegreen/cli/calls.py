"""Every call of the command line into the rest of the program, in one place, each importing only what it needs.

The commands get an object of this class, so that a test can hand them another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import NotStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bluegreen.cli.session import Session
    from bluegreen.cli.views.logs import LogTail
    from bluegreen.cli.views.status import Status
    from bluegreen.domain.errors import ExitCode
    from bluegreen.domain.events import Event
    from bluegreen.domain.image import ImageReference
    from bluegreen.domain.plan import Options
    from bluegreen.domain.release import Run
    from bluegreen.domain.stack import Slot, Stack

    Emit = Callable[[Event], None]


class Calls:
    """The program, as the commands see it. Every method raises BluegreenError."""

    def stack(self, session: Session) -> Stack:
        """The stack that a deploy would release, for its options; before the first ``up`` the app file's."""
        from bluegreen import wiring

        try:
            return wiring.stack_of(state=session.state, app=session.app)
        except NotStarted:
            from bluegreen.appfile import load_app

            return load_app(session.app).stack

    def up(self, session: Session, *, ports: Mapping[str, int], emit: Emit) -> None:
        """Start the stack on this machine. ``ports``: by full or short name."""
        from bluegreen import wiring

        wiring.up(state=session.state, app=session.app, ports=ports, emit=emit)

    def down(self, session: Session, *, purge: bool, emit: Emit) -> bool:
        """End the stack on this machine; whether there was anything to end."""
        from bluegreen import wiring

        return wiring.down(state=session.state, purge=purge, emit=emit)

    def deploy(
        self,
        session: Session,
        *,
        images: Mapping[str, ImageReference],
        options: Options,
        dry_run: bool,
        emit: Emit,
    ) -> ExitCode:
        """Release these images."""
        from bluegreen import wiring
        from bluegreen.pipeline.release import release

        with wiring.open_world(state=session.state, app=session.app, emit=emit) as world:
            return release(world.tools, images=images, options=options, dry_run=dry_run)

    def rollback(self, session: Session, *, to: Slot | None, cold: bool, reason: str, emit: Emit) -> ExitCode:
        """Bring users back."""
        from bluegreen import wiring
        from bluegreen.pipeline.rollback import rollback

        with wiring.open_world_fast(state=session.state, emit=emit) as world:
            return rollback(world.tools, to=to, cold=cold, reason=reason)

    def status(self, session: Session) -> Status:
        """What serves now."""
        from bluegreen import wiring
        from bluegreen.cli.views.status import Address, Preview, look

        with wiring.open_world_fast(state=session.state, emit=_nobody) as world:
            tools = world.tools
            addresses = [
                Address(
                    service=each.service,
                    users=each.users,
                    previews=tuple(Preview(slot=slot, at=at) for slot, at in each.slots),
                )
                for each in world.addresses
            ]
            return look(stack=tools.stack, snapshot=tools.snapshot(), runs=tuple(tools.runs()), addresses=addresses)

    def runs(self, session: Session, *, newest: int) -> Sequence[Run]:
        """The newest runs, newest first."""
        from itertools import islice

        from bluegreen import wiring

        with wiring.open_world_fast(state=session.state, emit=_nobody) as world:
            return tuple(islice(world.tools.runs(), newest))

    def run(self, session: Session, name: str) -> Run | None:
        """One run; None: there is none of that name."""
        from bluegreen import wiring
        from bluegreen.domain.release import fold

        with wiring.open_world_fast(state=session.state, emit=_nobody) as world:
            return fold(world.tools.journal.entries(name))

    def logs(self, session: Session, *, service: str | None, slot: Slot | None, lines: int) -> Sequence[LogTail]:
        """The last lines of the replicas' logs. ``service``: by its full or short name."""
        from bluegreen import wiring
        from bluegreen.cli.arguments import service_named
        from bluegreen.cli.views.logs import tails_in

        with wiring.open_world_fast(state=session.state, emit=_nobody) as world:
            stack, folder = world.tools.stack, world.logs
        names = stack.names if service is None else (service_named(stack, service).name,)
        return tails_in(folder, services=names, slot=slot, lines=lines)


def _nobody(event: Event) -> None:
    """Reading commands tell no events."""
