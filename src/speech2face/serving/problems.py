"""Errors as RFC 9457 says: application/problem+json, from the project's own error classes."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from speech2face.errors import BusyError, Speech2FaceError, TooLargeError, TooSlowError, UsageError

RETRY_SECONDS = 2


def describe_problem(error: Exception) -> dict[str, Any]:
    """type, title, status, detail, and `code`: the exit code of the command for the same error."""
    if isinstance(error, HTTPException):  # no such path, or not with this method
        status = HTTPStatus(error.status_code)
        detail = str(error.detail)
        if status == HTTPStatus.NOT_FOUND:
            detail = "there is nothing at this path; /openapi.json has those there are."
        elif allowed := (error.headers or {}).get("Allow"):
            detail = f"this path takes {allowed}."
        return _problem("about:blank", status.phrase, status, detail, 2)
    if isinstance(error, RequestValidationError):
        error = UsageError(_tell_wrong_field(error))
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


def _problem(kind: str, title: str, status: int, detail: str, code: int) -> dict[str, Any]:
    return {"type": kind, "title": title, "status": status, "detail": detail, "code": code}


def _tell_wrong_field(error: RequestValidationError) -> str:
    first = error.errors()[0]
    name = first["loc"][-1]
    return f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}."
