"""Telling HorizontalPodAutoscalers how small a slot may get. What they are to be told is decided in sizes.py."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import Conflict, NotFound
from bluegreen.platforms.kubernetes.looking import listed
from bluegreen.platforms.kubernetes.objects import scaler_of
from bluegreen.platforms.kubernetes.resources import SCALERS
from bluegreen.platforms.kubernetes.sizes import own_least, putting_back, raising, scaler_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.domain.stack import Instant, Stack
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Scaler
    from bluegreen.platforms.kubernetes.transport import Api


class Scalers:
    """The autoscalers of one stack."""

    def __init__(self, api: Api, *, stack: Stack, namespace: str) -> None:
        """Nothing is read yet."""
        self._api = api
        self._stack = stack
        self._namespace = namespace

    def hold(self, deployment: str, replicas: int, *, until: Instant) -> None:
        """Keep the Deployment's autoscaler from making it smaller than this while nobody uses it."""
        found = scaler_for(deployment, self._all(until=until))
        if found is not None:
            self._tell(found, lambda now: _held(now, replicas), until=until)

    def let_go(self, *, until: Instant) -> None:
        """Give each autoscaler of the stack its own least size again."""
        own = {name for marks in names.marks_of_all(self._stack) for _, name in marks.workloads}
        for scaler in self._all(until=until):
            if scaler.target in own:
                self._tell(scaler, putting_back, until=until)

    def _all(self, *, until: Instant) -> list[Scaler]:
        return [scaler_of(item) for item in listed(self._api, SCALERS, namespace=self._namespace, until=until)]

    def _fresh(self, *, until: Instant) -> list[Scaler]:
        return [scaler_of(item) for item in self._api.list(SCALERS.all(self._namespace), until=until).items]

    def _tell(self, found: Scaler, change: Callable[[Scaler], Json | None], *, until: Instant) -> None:
        """Write what is still to be changed. Its version moves with each of its looks: a conflict is asked again.

        By a list, for the account need not have the right to get one. One that is gone meanwhile has nothing to say.
        """
        path, now = SCALERS.one(self._namespace, found.meta.name), found
        while (patch := change(now)) is not None:
            with suppress(Conflict, NotFound):
                self._api.merge_patch(path, patch, until=until)
                return
            left = [one for one in self._fresh(until=until) if one.meta.uid == found.meta.uid]
            if not left:
                return
            now = left[0]


def _held(scaler: Scaler, replicas: int) -> Json | None:
    least = max(replicas, own_least(scaler))
    return raising(scaler, least) if scaler.least != least else None
