"""As whom we ask, kept fresh: a fixed identity, a token that lives in a file, or what a plugin says.

Shared by the threads of a process: one fetches, the others wait for it. A refused identity is fetched anew once; where
nothing newer comes of it the refusal stands. Nothing here is ever shown: no token is in a repr or an error.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from bluegreen.domain.errors import UsageError
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from pathlib import Path

    from bluegreen.domain.stack import Seconds
    from bluegreen.platforms.kubernetes.cluster import Identity
    from bluegreen.platforms.kubernetes.wire import Deadline

TOKEN_FILE_AGE: Seconds = 60.0
"""A service account's token is written anew long before it ends; the official clients read it each minute too."""
_MARGIN: Seconds = 5.0
"""So long before its end an identity is no longer used."""


class Source(Protocol):
    """Where an identity comes from."""

    def fetch(self, deadline: Deadline, /) -> Identity:
        """The identity now. Raises UsageError, PlatformError, and what the deadline raises."""


class Credentials:
    """The identity to use at any time."""

    def __init__(self, source: Source) -> None:
        """Nothing is fetched yet."""
        self._source = source
        self._lock = threading.Lock()
        self._identity: Identity | None = None

    def identity(self, deadline: Deadline) -> Identity:
        """Who we are now; fetched when there is none or it ends. Raises as Source.fetch."""
        with self._lock:
            if self._identity is None or _ends(self._identity, wall=deadline.clock.wall()):
                self._identity = self._source.fetch(deadline)
            return self._identity

    def renewed(self, refused: Identity, deadline: Deadline) -> bool:
        """Fetch again what the server refused. False: nothing newer came of it. Raises as Source.fetch."""
        with self._lock:
            if self._identity is None or not _differ(self._identity, refused):
                self._identity = self._source.fetch(deadline)
            return _differ(self._identity, refused)


def _ends(identity: Identity, *, wall: float) -> bool:
    return identity.expires is not None and identity.expires - _MARGIN <= wall


def _differ(one: Identity, other: Identity) -> bool:
    return (one.authorization, one.certificate) != (other.authorization, other.certificate)


class Fixed:
    """Source: always the same, as the kubeconfig says."""

    def __init__(self, identity: Identity) -> None:
        """``identity``: token, basic authentication or certificate, or nobody."""
        self._identity = identity

    def fetch(self, _deadline: Deadline, /) -> Identity:
        """As in Source."""
        return self._identity


class TokenFile:
    """Source: a bearer token in a file that somebody else keeps fresh."""

    def __init__(self, path: Path, *, base: Identity) -> None:
        """``base``: all of the identity but the token; its own token is used as long as the file was never read."""
        self._path = path
        self._last = base

    def fetch(self, deadline: Deadline, /) -> Identity:
        """As in Source. A file that cannot be read for a moment leaves the last token in use."""
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            token = ""
        if token:
            self._last = replace(self._last, authorization=f"Bearer {token}")
        if not self._last.authorization:
            raise UsageError(f"{self._path}: no token can be read from it", mend="check tokenFile in the kubeconfig")
        return replace(self._last, expires=deadline.clock.wall() + TOKEN_FILE_AGE)
