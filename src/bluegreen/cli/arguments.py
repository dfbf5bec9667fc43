"""What stands on a command line besides words: SERVICE=VALUE pairs, seconds, counts. Refused in one clear line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from bluegreen.cli.place import said_of
from bluegreen.domain.errors import UsageError
from bluegreen.domain.image import ImageReference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluegreen.domain.stack import Seconds, Service, Stack

HIGHEST_PORT = 65535

HIGHEST_COUNT = 999_999_999
"""More lines than any log has, and more runs than any history."""

LONGEST: Seconds = 86_400.0
"""A day: nobody waits longer for a release, which keeps the lock all that time. Longer ones are slips of the pen."""

LONGEST_QUOTE = 60


def _cut(value: object) -> str:
    """As it was given, as far as it helps to recognise it."""
    text = str(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


def _quoted(value: object) -> str:
    return repr(_cut(value))


def _refuse(parameter: click.Parameter | None, context: click.Context | None, message: str, mend: str) -> NoReturn:
    raise UsageError(f"{said_of(parameter, context)}: {message}", mend=mend)


class WindowSeconds(click.ParamType[float]):
    """A number of seconds, from 0 to LONGEST."""

    name = "seconds"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Read it. Raises UsageError."""
        try:
            seconds = float(str(value))
        except ValueError:
            _refuse(param, ctx, f"{_quoted(value)} is not a number of seconds", "write for example 30")
        if not 0 <= seconds <= LONGEST:  # which is false of "nan", too
            mend = f"write a number of seconds from 0 to {LONGEST:.0f}, a day"
            _refuse(param, ctx, f"{_cut(value)} is no time to wait", mend)
        return seconds


class Count(click.ParamType[int]):
    """A whole number, 1 or more."""

    name = "number"

    def __init__(self, *, most: int = HIGHEST_COUNT) -> None:
        """``most``: the highest that makes sense."""
        self._most = most
        self._mend = f"write a number from 1 to {most}"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Read it. Raises UsageError."""
        text = str(value).strip()
        digits = text.removeprefix("-").lstrip("0")[: len(str(HIGHEST_COUNT)) + 1]
        if not (text.isascii() and text.removeprefix("-").isdigit()):
            _refuse(param, ctx, f"{_quoted(value)} is not a whole number", self._mend)
        if text.startswith("-") or not digits:
            _refuse(param, ctx, f"{_cut(text)} is too small", self._mend)
        if int(digits) > self._most:
            _refuse(param, ctx, f"{_cut(text)} is too much", self._mend)
        return int(digits)


class Pair(click.ParamType[tuple[str, str]]):
    """``SERVICE=VALUE``."""

    name = "pair"

    def __init__(self, *, example: str) -> None:
        """``example``: what to write, for the error."""
        self._example = example

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, str]:
        """Split it. Raises UsageError."""
        if isinstance(value, tuple):
            return value
        service, equals, rest = str(value).partition("=")
        if not (service and equals and rest):
            message = f"{_quoted(value)} does not name a service and a value"
            _refuse(param, ctx, message, f"write for example {self._example}")
        return service, rest


def service_named(stack: Stack, name: str) -> Service:
    """The service of that full or short name. Raises UsageError with the nearest one."""
    for service in stack.services:
        if service.name == name:
            return service
    short = [service for service in stack.services if stack.short(service.name) == name]
    if len(short) == 1:
        return short[0]
    raise UsageError(f"the stack {stack.name} has no service {name!r}", mend=_nearest(stack, name))


def _nearest(stack: Stack, name: str) -> str:
    from difflib import get_close_matches

    names = [*map(stack.short, stack.names), *stack.names]
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"its services are {', '.join(stack.names)}"


def image_flags(stack: Stack) -> dict[str, str]:
    """``--backend-image`` to ``alfred-backend`` for each service; the full name where short ones are alike."""
    shorts = [stack.short(name) for name in stack.names]
    return {
        f"--{name if shorts.count(short) > 1 else short}-image": name
        for name, short in zip(stack.names, shorts, strict=True)
    }


def images_named(stack: Stack, pairs: Iterable[tuple[str, str]]) -> dict[str, ImageReference]:
    """The images by the services' full names. Raises UsageError for a stranger, a service twice, a bad reference."""
    images: dict[str, ImageReference] = {}
    for name, reference in pairs:
        service = service_named(stack, name)
        if service.name in images:
            raise UsageError(f"two images are named for {service.name}", mend="name one for each service")
        images[service.name] = ImageReference.parse(reference)
    return images


def ports_named(pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The ports by the names given; 0 means any that is free. Raises UsageError."""
    ports: dict[str, int] = {}
    for name, text in pairs:
        digits = text.lstrip("0")[: len(str(HIGHEST_PORT)) + 1]
        if not (text.isascii() and text.isdigit()) or int(digits or "0") > HIGHEST_PORT:
            mend = f"write a number from 1 to {HIGHEST_PORT}, or 0 for any port that is free"
            raise UsageError(f"--port {name}: {_quoted(text)} is no port", mend=mend)
        if name in ports:
            raise UsageError(f"--port names {name} twice", mend="name each service once")
        ports[name] = int(digits or "0")
    return ports
