"""What the service answers with: JSON, and one clear line where something is wrong."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from audiomae.errors import (
    AudiomaeError,
    ConfigError,
    DataError,
    DecodeError,
    FingerprintError,
    StorageError,
)

__all__ = ["Json", "RefusedError", "answer_errors", "status_of"]

log = logging.getLogger(__name__)


class RefusedError(AudiomaeError):
    """A request that is refused, with the status to answer with."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class Json(Response):
    """Plain values, dataclasses and NumPy's numbers as JSON; nothing is validated on the way out."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the bytes."""
        return orjson.dumps(content, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)


def _plain(value: Any) -> Any:
    """Return what orjson does not know as values that it does."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


STATUS = (
    (DecodeError, 422),
    (FingerprintError, 409),
    (DataError, 404),
    (ConfigError, 422),
    (StorageError, 507),
)
"""Statuses of the package's errors; the first that fits counts."""


def status_of(error: AudiomaeError) -> int:
    """Return the HTTP status of an error.

    Example:
        >>> status_of(DataError("no such track")), status_of(ConfigError("k is 0"))
        (404, 422)
    """
    if isinstance(error, RefusedError):
        return error.status
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def answer_errors(app: FastAPI) -> None:
    """Let every error be answered as `{"error": "one clear line"}`."""

    @app.exception_handler(AudiomaeError)
    def of_package(_: Request, error: AudiomaeError) -> Json:
        return Json({"error": str(error)}, status_of(error))

    @app.exception_handler(HTTPException)
    def of_framework(_: Request, error: HTTPException) -> Json:
        return Json({"error": str(error.detail)}, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    def of_values(_: Request, error: RequestValidationError) -> Json:
        return Json({"error": _line(error)}, 422)

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Json:
        log.error(
            "%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error, exc_info=error
        )
        return Json({"error": "the service met an error of its own; its log says more."}, 500)


def _line(error: RequestValidationError) -> str:
    """Return the first thing that is wrong, by name, with what it should be."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    message = str(first["msg"])
    return f"{'.'.join(place) or 'the request'}: {message[:1].lower()}{message[1:]}."[:300]
