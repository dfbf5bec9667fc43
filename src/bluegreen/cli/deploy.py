"""``bluegreen deploy``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from bluegreen.cli.arguments import LONGEST, Count, Pair, WindowSeconds, image_flags, images_named
from bluegreen.cli.calls import Order
from bluegreen.cli.group import Command, Named, calls_of, session_of
from bluegreen.cli.program import peek
from bluegreen.cli.screen import Heard, listener
from bluegreen.cli.session import Kind, folder, not_empty
from bluegreen.domain.errors import BluegreenError, UsageError
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import RETRY_SECONDS, Options
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from bluegreen.cli.session import Session
    from bluegreen.domain.errors import ExitCode
    from bluegreen.domain.stack import Stack

_STACK: Final = "bluegreen.stack"
_HELP = frozenset({"--help", "-h"})
_DEFAULTS = Options()


class Deploy(Command):
    """Has an option for the image of each service of the stack at hand, so the app file is read first."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the stack, then parse."""
        ctx.meta[_STACK] = self._stack(ctx, args)
        return super().parse_args(ctx, args)

    def _stack(self, ctx: click.Context, args: list[str]) -> Stack | None:
        """None: its app file is wrong, and only help was asked for."""
        try:
            return calls_of(ctx).stack(_session_ahead(ctx, args))
        except BluegreenError:
            if _HELP.isdisjoint(args) and not ctx.resilient_parsing:
                raise
            return None

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of every deploy, after those of the services."""
        stack: Stack | None = ctx.meta.get(_STACK)
        if stack is None:
            return super().get_params(ctx)
        return [*map(_image_option, image_flags(stack)), *super().get_params(ctx)]


def _session_ahead(ctx: click.Context, args: list[str]) -> Session:
    """The session as it will be once the rest of the line is parsed."""
    session = session_of(ctx)
    app, state, platform = peek(args, "--app"), peek(args, "--state"), peek(args, "--platform")
    return replace(
        session,
        platform=_platform(session, args, platform),
        app=Path(not_empty(app, of="--app")) if app is not None else session.app,
        state=folder(state) if state is not None else session.state,
    )


def _platform(session: Session, args: list[str], named: str | None) -> Kind:
    if named in set(Kind):
        return Kind(named)
    placed = any(peek(args, option) is not None for option in ("--namespace", "--context"))
    return Kind.KUBERNETES if placed and named is None else session.platform


def _image_option(flag: str) -> click.Option:
    service = flag.removeprefix("--").removesuffix("-image")
    return click.Option([flag], metavar="REF", help=f"The image of {service}.")


@click.command(
    cls=Deploy,
    exit_codes=True,
    examples=[
        (
            "one image; what is not named is carried over from the active slot",
            "bluegreen deploy --backend-image alfredai/backend:v2.1.0",
        ),
        ("the same for any stack", "bluegreen deploy --image backend=alfredai/backend:v2.1.0"),
        (
            "stay until the error rate of five minutes is judged, too",
            "bluegreen deploy --backend-image alfredai/backend:v2.1.0 --verify",
        ),
        ("see what it would do", "bluegreen deploy --backend-image alfredai/backend:v2.1.0 --dry-run"),
    ],
)
@click.option(
    "--image",
    type=Pair(example="--image backend=alfredai/backend:v2.1.0"),
    multiple=True,
    metavar="SERVICE=REF",
    help="The image of a service, by its full or short name. May be given again.",
)
@click.option(
    "--health-retries",
    type=Count(most=int(LONGEST / RETRY_SECONDS)),
    default=_DEFAULTS.health_retries,
    show_default=True,
    metavar="N",
    help="The idle slot gets N times 5 s to become ready. It never waits longer than it needs.",
)
@click.option(
    "--validation-time",
    type=WindowSeconds(),
    default=_DEFAULTS.validation_time,
    show_default=f"{_DEFAULTS.validation_time:g}",
    metavar="S",
    help="Seconds for which users of the new version are watched; a bad window rolls back by itself.",
)
@click.option(
    "--prometheus",
    type=Named(),
    metavar="URL",
    help="Read requests and times from this Prometheus server, not from the pods.",
)
@click.option("--scale-down-old", is_flag=True, help="End the old slot after that. The way back is a cold start then.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="Stage again what is active already.")
@click.option("--keep-failed", is_flag=True, help="Leave a failed version in the idle slot, for looking.")
@click.option("--verify", is_flag=True, help="Stay until the checklist is judged, five minutes after the switch.")
@click.option(
    "--require-proof", is_flag=True, help="Roll back, too, when the window proves nothing: no traffic, no metrics."
)
@click.option(
    "--synthetic-traffic",
    is_flag=True,
    help="Make the app file's checks with GET in the window, too, at the address that users call.",
)
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    image: tuple[tuple[str, str], ...],
    health_retries: int,
    validation_time: float,
    prometheus: str | None,
    scale_down_old: bool,
    dry_run: bool,
    force: bool,
    keep_failed: bool,
    verify: bool,
    require_proof: bool,
    synthetic_traffic: bool,
    **flags: str | None,
) -> ExitCode:
    """Release new images: into the idle slot, validated there, then users are switched and watched.

    Until the switch users see nothing of it. After the switch a version that turns out bad is rolled back at once.
    """
    session = replace(session_of(context), prometheus=prometheus or "")
    stack: Stack = context.meta[_STACK]
    options = Options(
        health_retries=health_retries,
        validation_time=validation_time,
        scale_down_old=scale_down_old,
        force=force,
        keep_failed=keep_failed,
        verify=verify,
        require_proof=require_proof,
        synthetic_traffic=synthetic_traffic,
    )
    images = images_named(stack, [*image, *_by_flag(stack, flags)])
    if not images:
        raise UsageError("no image was named", mend=f"name at least one, for example {_example(stack)}")
    order = Order(images=images, options=options, dry_run=dry_run)
    calls = calls_of(context)
    with listener(session, calls) as told:
        calls.check_contacts(session, emit=told)
        heard = Heard(told)
        tell = partial(calls.notify, session, heard.events, listener=told)
        return calls.deploy(session, order, emit=heard, ended=tell)


def _example(stack: Stack) -> str:
    """Refused here and not in the plan: before the plan a deploy ends what a killed one has left."""
    flag, service = next(iter(image_flags(stack).items()))
    return f"{flag} {ImageReference.parse(stack.service(service).image).name}:v2"


def _by_flag(stack: Stack, flags: dict[str, str | None]) -> list[tuple[str, str]]:
    """``backend_image=REF`` as the pair that ``--image`` would have given."""
    names = {flag.removeprefix("--").replace("-", "_"): service for flag, service in image_flags(stack).items()}
    return [(names[flag], reference) for flag, reference in flags.items() if reference is not None]
