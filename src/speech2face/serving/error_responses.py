"""Errors as RFC 9457 says: application/problem+json, from the project's own error classes."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import ValidationException
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from speech2face.errors import BusyError, Speech2FaceError, TooLargeError, TooSlowError, UsageError

RETRY_SECONDS = 2
NOT_FOUND = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Nothing here · speech2face</title>
<link rel="stylesheet" href="{root}style.css">
</head>
<body>
<header><p class="name">speech2face</p></header>
<main>
<h1>There is nothing at this address</h1>
<p><a href="{root}">To the page of speech2face</a></p>
</main>
</body>
</html>
"""


def describe_problem(error: Exception) -> dict[str, Any]:
    """type, title, status, detail, and `code`: the exit code of the command for the same error."""
    if isinstance(error, HTTPException):  # no such path, say, or not with this method
        status = HTTPStatus(error.status_code)
        return _problem("about:blank", status.phrase, status, str(error.detail), 2)
    if isinstance(error, ValidationException):
        error = UsageError(_describe_wrong_field(error))
    if not isinstance(error, Speech2FaceError):
        error = Speech2FaceError("the server failed on this; it is not your fault.")
    plain = type(error) is Speech2FaceError
    words = re.findall(r"[A-Z][a-z]*", "InternalError" if plain else type(error).__name__)
    return _problem(
        f"urn:speech2face:{'-'.join(words).lower()}",
        " ".join(word for word in words if word != "Error").capitalize(),
        error.http_status,
        " ".join(str(error).split()),
        error.exit_code,
    )


def answer_problem(error: Exception) -> Response:
    """The same as a response."""
    problem = describe_problem(error)
    headers = dict(getattr(error, "headers", None) or {})
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(error, TooLargeError | TooSlowError):  # the rest of the body is not read
        headers["Connection"] = "close"
    return Response(
        json.dumps(problem), problem["status"], headers, media_type="application/problem+json"
    )


def answer_request(request: Request, error: Exception, paths: set[str]) -> Response:
    """The same as an answer to `request`, to a server of these paths.

    A wrong method is told the right ones, which OPTIONS asks for, and a browser that has lost its
    way is shown a page.
    """
    headers = error.headers if isinstance(error, HTTPException) else None
    if headers and (allowed := headers.get("Allow")):
        allowed = {"GET": "GET, HEAD"}.get(allowed, allowed)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": f"{allowed}, OPTIONS"})
        error = HTTPException(405, f"this path takes {allowed}.", {"Allow": f"{allowed}, OPTIONS"})
    path = request.scope["path"]
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND:
        if not path.startswith("/v1/") and "text/html" in request.headers.get("accept", ""):
            page = NOT_FOUND.format(root="../" * (path.count("/") - 1) or "./")
            return Response(page, 404, {"Vary": "Accept"}, media_type="text/html")
        if path.rstrip("/") in paths:
            words = f"there is nothing at this path; {path.rstrip('/')} has no slash at its end."
        else:
            words = "there is nothing at this path; /openapi.json has those there are."
        error = HTTPException(404, words)
    return answer_problem(error)


def _problem(kind: str, title: str, status: int, detail: str, code: int) -> dict[str, Any]:
    return {"type": kind, "title": title, "status": status, "detail": detail, "code": code}


def _describe_wrong_field(error: ValidationException) -> str:
    first = error.errors()[0]
    name = first["loc"][-1]
    return f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}."
