"""The WebSocket: each message is answered by a text that says who answers; at the end all are told to come again."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from starlette.websockets import WebSocketDisconnect, WebSocketState

if TYPE_CHECKING:
    from starlette.types import Message
    from starlette.websockets import WebSocket

SERVICE_RESTARTS: Final = 1012
GOODBYE: Final = "this instance is leaving; connect again"


class EchoSockets:
    """All open WebSockets of this process."""

    def __init__(self, me: dict[str, str]) -> None:
        """``me`` is told in each answer."""
        self._me = me
        self._open: set[WebSocket] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, websocket: WebSocket) -> None:
        """Answer the messages of one WebSocket until one side ends it."""
        await websocket.accept()
        self._open.add(websocket)
        try:
            with suppress(WebSocketDisconnect):
                while await self._answer(websocket, await websocket.receive()):
                    pass
        finally:
            self._open.discard(websocket)

    async def say_goodbye(self) -> None:
        """Send the close to all of them, at the same time: one whose client reads nothing must not stop the others."""
        takers = [websocket for websocket in self._open if _takes_more(websocket)]
        await asyncio.gather(*map(_say_goodbye, takers))

    async def _answer(self, websocket: WebSocket, message: Message) -> bool:
        """Answer one message; false when it was the last."""
        if message["type"] == "websocket.disconnect" or not _takes_more(websocket):
            return False
        await websocket.send_text(json.dumps({"echo": _text_of(message), **self._me}))
        return True


async def _say_goodbye(websocket: WebSocket) -> None:
    with suppress(WebSocketDisconnect):
        await websocket.close(SERVICE_RESTARTS, GOODBYE)


def _takes_more(websocket: WebSocket) -> bool:
    return websocket.application_state is WebSocketState.CONNECTED


def _text_of(message: Message) -> str:
    text: str | None = message.get("text")
    if text is None:
        return bytes(message["bytes"]).decode(errors="replace")
    return text
