"""How much a request may send, and how long it may take to."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audiomae.serve.answers import Json
from audiomae.verbs.serve import ServeSettings

__all__ = ["BodyLimit"]

PLAIN_BYTES = 1 << 20
"""Bytes that a request may send where it sends no file."""
ROOM_BYTES = 1 << 14
"""Bytes around a file in a form."""
CHUNK_SECONDS = 30.0
"""Time between two pieces of a body, in seconds."""


class BodyLimit:
    """Counts what comes in, and refuses more than the limit, whatever the header promised.

    Args:
        app: What answers.
        settings: The largest file.
        uploads: Paths that take a file.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, uploads: tuple[str, ...]) -> None:
        self.app, self.uploads = app, uploads
        self.upload_bytes = settings.upload_megabytes * 1_000_000 + ROOM_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, and count."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        limit = self.upload_bytes if scope["path"] in self.uploads else PLAIN_BYTES
        promised = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not promised.isdigit() or int(promised) > limit:
            await Json({"error": _line(limit)}, 413)(scope, receive, send)
            return
        count = 0

        async def counted() -> Message:
            nonlocal count
            try:
                message = await asyncio.wait_for(receive(), None if count < 0 else CHUNK_SECONDS)
            except TimeoutError:
                raise HTTPException(
                    408, f"nothing came for {CHUNK_SECONDS:g} s; send the request again."
                ) from None
            if message["type"] == "http.request":
                count += len(message.get("body", b""))
                if count > limit:
                    raise HTTPException(413, _line(limit))
                if not message.get("more_body", False):
                    count = -limit  # the body has ended; what comes next is that the client leaves, whenever
            return message

        await self.app(scope, counted, send)


def _line(limit: int) -> str:
    return f"more than {limit / 1e6:.0f} MB were sent; send less, or start audiomae serve with --upload_megabytes N."
