"""Who may ask: a token, and without one this machine's own pages alone.

Without a token the service answers on loopback, where any page that a browser shows could ask too. So a request must
name this machine (`Host`; a page of another name that was pointed here does not), and one that a page sends must come
from the service's own page (`Origin`).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audiomae.serve.answers import Json
from audiomae.verbs.serve import ServeSettings, is_loopback

__all__ = ["Gate", "same_secret"]

GUARDED = ("/api/", "/rest/", "/metrics", "/docs", "/openapi.json")
"""Beginnings of the paths that need the token; the page's own files hold nothing of the collection."""
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def same_secret(given: str, secret: str) -> bool:
    """Return whether two texts are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


class Gate:
    """Refuses requests of strangers, and sends the headers that keep a browser strict.

    Args:
        app: What answers the others.
        settings: Token and host.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self.app, self.secret, self.host = app, settings.secret, settings.host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 403, or let the request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        refusal = self.refusal(scope)
        await (refusal or self.app)(scope, receive, strict)

    def refusal(self, scope: Scope) -> Json | None:
        """Return the answer to a request that is not let through; None for one that is."""
        path, headers = scope["path"], Headers(scope=scope)
        if self.secret:
            if path.startswith("/rest/") or not path.startswith(GUARDED) or self._knows(scope, headers):
                return None  # /rest/ has its own ways to show the token
            line = "this needs the token: send Authorization: Bearer TOKEN, or add ?token=TOKEN."
            return Json({"error": line}, 401, headers={"www-authenticate": "Bearer"})
        name = _name_of(headers.get("host", ""))
        if not is_loopback(name) and name != self.host:
            line = f"host {name[:100]!r} is not this machine; a service for others needs a token: --token SECRET."
            return Json({"error": line}, 403)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return Json({"error": "a page of another origin may not ask here."}, 403)
        return None

    def _knows(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and same_secret(given.strip(), self.secret):
            return True
        shown = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return bool(shown) and same_secret(shown, self.secret)


def _name_of(host: str) -> str:
    """Return the name or address in a Host header, without the port.

    Example:
        >>> _name_of("127.0.0.1:8765"), _name_of("[::1]:8765")
        ('127.0.0.1', '::1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".").lower()
