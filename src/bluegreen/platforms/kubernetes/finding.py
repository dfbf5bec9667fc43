"""Lists what discovery reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.platforms.kubernetes.discovery import Found, Objects, discover
from bluegreen.platforms.kubernetes.errors import MissingRight
from bluegreen.platforms.kubernetes.looking import listed
from bluegreen.platforms.kubernetes.objects import budget_of, deployment_of, service_of
from bluegreen.platforms.kubernetes.resources import BUDGETS, DEPLOYMENTS, SERVICES

if TYPE_CHECKING:
    from bluegreen.domain.stack import Instant, Stack
    from bluegreen.platforms.kubernetes.objects import Budget
    from bluegreen.platforms.kubernetes.transport import Api


def find(stack: Stack, api: Api, *, namespace: str, until: Instant) -> Found:
    """The stack with its objects' names. What may not be listed is not there. Raises PlatformError."""
    there = Objects(
        services=tuple(map(service_of, listed(api, SERVICES, namespace=namespace, until=until))),
        deployments=tuple(map(deployment_of, listed(api, DEPLOYMENTS, namespace=namespace, until=until))),
        budgets=_budgets(api, namespace=namespace, until=until),
        namespace=namespace,
    )
    return discover(stack, there)


def _budgets(api: Api, *, namespace: str, until: Instant) -> tuple[Budget, ...] | None:
    try:
        items = api.list(BUDGETS.all(namespace), at_least="0", until=until).items
    except MissingRight:
        return None
    return tuple(map(budget_of, items))
