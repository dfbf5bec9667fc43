"""Numbers and bodies in requests, with their bounds: nobody can make a handler run for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alfred.measured import Trouble
from alfred.settings import seconds_of

if TYPE_CHECKING:
    from starlette.requests import Request

LONGEST_WAIT: Final = 10.0
LONGEST_STREAM: Final = 30.0
MOST_CHUNKS: Final = 10_000
LARGEST_BODY: Final = 64 * 1024


def read_seconds(request: Request, name: str, *, usual: float, most: float) -> float:
    """A number of seconds from the query. Raises Trouble (400) if it is none or out of bounds."""
    seconds = seconds_of(request.query_params.get(name, str(usual)))
    if seconds is None or seconds > most:
        raise Trouble(400, f"{name} must be seconds from 0 to {most:g}")
    return seconds


def read_count(request: Request, name: str, *, usual: int, most: int) -> int:
    """A whole number from the query. Raises Trouble (400) if it is none or out of bounds."""
    digits = request.query_params.get(name, str(usual))
    if digits.isascii() and digits.isdecimal() and 1 <= int(digits[:9]) <= most:
        return int(digits)
    raise Trouble(400, f"{name} must be a whole number from 1 to {most}")


async def read_body(request: Request) -> bytes:
    """The whole body. Raises Trouble (413) if that is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise Trouble(413, f"a body may have {LARGEST_BODY} bytes")
    return body
