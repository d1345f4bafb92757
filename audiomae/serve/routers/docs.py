"""The requests that the service answers, as a page without anything from outside: `/docs`."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

__all__ = ["router"]

router = APIRouter(tags=["service"])

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}code{background:#8882;"
    "padding:.1em .3em}dt{margin-top:1rem}dd{margin:.2rem 0 0 1.5rem}@media(prefers-color-scheme:dark){body{background:"
    "#111;color:#eee}a{color:#8cf}}"
)


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """List every request with its parameters."""
    described = request.app.openapi()
    parts = []
    for path, methods in described["paths"].items():
        for method, about in methods.items():
            parts.append(_described(method, path, about))
    head = f"<title>audiomae: requests</title><meta charset=utf-8><style>{STYLE}</style>"
    intro = (
        "<h1>Requests that are answered</h1><p>The same as OpenAPI, for tools: <a href=openapi.json>openapi.json</a>. "
        'Errors are <code>{"error": "one line"}</code>.</p>'
    )
    return HTMLResponse(f"<!doctype html><html lang=en>{head}{intro}<dl>{''.join(parts)}</dl></html>")


def _described(method: str, path: str, about: dict[str, Any]) -> str:
    """Return one request as HTML."""
    lines = [f"<dd>{escape(about.get('description', ''))}</dd>"]
    for one in about.get("parameters", []):
        needed = "" if one.get("required") else ", may be left out"
        lines.append(f"<dd><code>{escape(one['name'])}</code> ({escape(one['in'])}{needed})</dd>")
    for kind, body in about.get("requestBody", {}).get("content", {}).items():
        name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
        lines.append(f"<dd>body: {escape(kind)} <code>{escape(name)}</code></dd>")
    return f"<dt><code>{method.upper()} {escape(path)}</code></dt>{''.join(lines)}"
