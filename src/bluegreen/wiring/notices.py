"""Who is told of a run, and by what: the URLs of the command line, of the environment or of the app file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import UsageError
from bluegreen.domain.events import Notified, Warned
from bluegreen.domain.notice import USUAL, Occasion, notice_of, wanted
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass, field, replace
from bluegreen.notify.address import shown
from bluegreen.notify.send import AppriseNotifier, available, install
from bluegreen.wiring.common import DEFAULT_APP, child_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bluegreen.domain.errors import BluegreenError
    from bluegreen.domain.events import Event
    from bluegreen.domain.stack import Seconds

LIMIT: Seconds = 10.0
"""How long all notices of a run may take together."""

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """Where notices go, and of what."""

    urls: tuple[str, ...] = field(repr=False)
    on: tuple[Occasion, ...] = USUAL


def contacts(given: Sequence[str], app: Path | None) -> Contacts:
    """``given``: by the command line or the environment; they win over the app file's URLs, not over its occasions.

    Raises AppFileError, and UsageError for a URL that is none or a variable that is not set; neither names a URL.
    """
    found = _of_app(app)
    urls = tuple(given) or tuple(map(_filled, found.urls))
    for number, url in enumerate(urls, 1):
        if "://" not in url:
            raise UsageError(
                f"the address number {number} for notices is no URL",
                mend="write it as apprise has it, for example mailtos://user:password@example.org",
            )
    return replace(found, urls=urls)


def _of_app(app: Path | None) -> Contacts:
    path = app or (DEFAULT_APP if DEFAULT_APP.exists() else None)
    if path is None:
        return Contacts(urls=())
    from bluegreen.appfile import load_app

    return Contacts(urls=(found := load_app(path).notify).urls, on=found.on)


def _filled(url: str) -> str:
    """With the values of the variables that it names. Raises UsageError for one that is not set."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not os.environ.get(name):
            raise UsageError(
                f"the app file's notify names the variable {name}, which is not set",
                mend=f"set {name}, or name the address with --notify or BLUEGREEN_NOTIFY",
            )
        return os.environ[name]

    return _VARIABLE.sub(value, url)


def check(given: Sequence[str], app: Path | None, *, emit: Callable[[Event], None]) -> None:
    """Say before the first write what will keep notices from being sent. Raises as ``contacts``."""
    found = contacts(given, app)
    if found.urls and not available(child_environment()):
        text = f"nobody will be told by {_names(found.urls)}: apprise is not installed"
        emit(Warned(text=text, mend=f"install it: {install()}"))


def _names(urls: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(map(shown, urls)))


def tell(
    given: Sequence[str], app: Path | None, events: Iterable[Event], error: BluegreenError | None = None
) -> Iterator[Event]:
    """Send the notice of a run that is over, where one is wanted; what came of it. Raises as ``contacts``.

    ``error``: with which it ended.
    """
    notice = notice_of(events, error)
    if notice is None:
        return
    found = contacts(given, app)
    if not found.urls or not wanted(notice, found.on):
        return
    clock = SystemClock()
    notifier = AppriseNotifier(found.urls, clock=clock, environment=child_environment())
    for delivery in notifier.send(notice, until=after(clock.now(), LIMIT)):
        yield Notified(to=delivery.to, why=delivery.why)
