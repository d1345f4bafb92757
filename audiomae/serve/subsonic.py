"""How OpenSubsonic writes answers, and how its clients say who they are."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from xml.sax.saxutils import quoteattr

from starlette.responses import Response

from audiomae.serve.answers import Json
from audiomae.serve.files import KINDS
from audiomae.serve.security import same_secret

__all__ = ["FailedError", "check_user", "child_of", "envelope", "number_of"]

PROTOCOL = "1.16.1"
NAMESPACE = "http://subsonic.org/restapi"
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML file may hold."""


class FailedError(Exception):
    """A request that failed, with OpenSubsonic's code for it."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code


def check_user(values: Mapping[str, str], secret: str) -> None:
    """Refuse a client that does not show the token: as apiKey, as password (p), or salted (t and s).

    Without a token everybody on this machine may ask, whatever they show.

    Args:
        values: Parameters of the request.
        secret: The token; empty for none.

    Raises:
        FailedError: With 10, 40, 43 or 44.
    """
    shown = [name for name in ("apiKey", "p", "t") if values.get(name)]
    if len(shown) > 1 or ("apiKey" in shown and values.get("u")):
        raise FailedError(43, "multiple conflicting authentication mechanisms provided.")
    if not secret:
        return
    if not shown:
        raise FailedError(10, "required parameter is missing: u with t and s, u with p, or apiKey.")
    if shown == ["apiKey"]:
        if not same_secret(values["apiKey"], secret):
            raise FailedError(44, "invalid API key.")
        return
    if not values.get("u") or (shown == ["t"] and not values.get("s")):
        raise FailedError(10, "required parameter is missing: u, and s beside t.")
    if shown == ["p"]:
        known = same_secret(_plain(values["p"]), secret)
    else:
        salted = hashlib.md5((secret + values["s"]).encode("utf-8", "replace"), usedforsecurity=False)
        known = same_secret(values["t"].lower(), salted.hexdigest())
    if not known:
        raise FailedError(40, "wrong username or password.")


def _plain(password: str) -> str:
    """Return a password that may be written as enc: and hexadecimal digits."""
    if not password.startswith("enc:"):
        return password
    try:
        return bytes.fromhex(password[4:]).decode("utf-8")
    except ValueError:
        return ""


def number_of(values: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Return a whole number among the parameters, at most `most`.

    Raises:
        FailedError: If it is none.
    """
    text = values.get(name, "")
    if not text:
        return min(default, most)
    if re.fullmatch(r"[0-9]{1,9}", text) is None:
        raise FailedError(0, f"{name} is {text[:20]!r}; it must be a whole number of 0 or more.")
    return min(int(text), most)


def child_of(name: str, song: Mapping[str, Any]) -> dict[str, Any]:
    """Return a song as OpenSubsonic's Child; what is unknown is left out."""
    ending = os.path.splitext(song["path"] or "")[1].lower()  # noqa: PTH122 - the path may hold anything
    child = {
        "id": name,
        "isDir": False,
        "title": song["title"] or name,
        "album": song["album"],
        "artist": song["artist"],
        "genre": song["genre"],
        "duration": None if song["seconds"] is None else round(song["seconds"]),
        "suffix": ending[1:],
        "contentType": KINDS.get(ending),
        "isVideo": False,
        "type": "music",
        "mediaType": "song",
    }
    return {key: value for key, value in child.items() if value not in (None, "")}


def envelope(content: Mapping[str, Any], form: str, *, failed: bool = False) -> Response:
    """Return a `subsonic-response` as XML or JSON.

    Args:
        content: What is in it, as JSON holds it.
        form: `json`; anything else is XML.
        failed: Whether it tells of an error.
    """
    head = {
        "status": "failed" if failed else "ok",
        "version": PROTOCOL,
        "type": "audiomae",
        "serverVersion": version("audiomae"),
        "openSubsonic": True,
    }
    if form == "json":
        return Json({"subsonic-response": {**head, **content}})
    body = _element("subsonic-response", {"xmlns": NAMESPACE, **head, **content})
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n{body}', media_type="application/xml")


def _element(name: str, value: Any) -> str:
    """Return a value as XML: plain ones as attributes, objects and lists as elements inside."""
    if not isinstance(value, Mapping):
        return f"<{name}>{_text(value)}</{name}>"
    attributes, inside = [], []
    for key, one in value.items():
        if isinstance(one, Mapping):
            inside.append(_element(key, one))
        elif isinstance(one, list):
            inside += [_element(key, part) for part in one]
        else:
            attributes.append(f" {key}={quoteattr(_text(one))}")
    return f"<{name}{''.join(attributes)}>{''.join(inside)}</{name}>"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else NOT_XML.sub("\ufffd", str(value))
