"""Origins that may open a stream: the server's own, under whatever address it was reached.

Browsers let any page open a socket to any server, and send with it what the reader's browser knows
of that server (a password, a cookie of a proxy); they say which page it is in the header Origin.
It has to be the address that the browser asked for. That is in Host, or, where a proxy has put
another Host there, in X-Forwarded-Host, or with those who run the server (`--origin`). A page can
set neither of the two headers; a program that is no browser can, but then it can leave out Origin
as well: whom to let in is the proxy's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from speech2face.errors import UsageError

PORTS = {"http": 80, "https": 443}
Address = tuple[str, str, int]  # scheme, host, port: what an origin is


class Origins:
    """The pages that may open streams: the server's own, and `allowed` ("https://host:port").

    Raises UsageError where one of these is not an origin.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = {read_origin(origin) for origin in allowed}

    def explain_refusal(self, origin: str | None, headers: Mapping[str, str]) -> str:
        """Why a page of `origin` may not open a stream by a request with these headers; "" if it
        may. Without an origin it is no page of a browser, and may."""
        if origin is None:
            return ""
        asked = [headers.get("host", ""), *headers.get("x-forwarded-host", "").split(",")]
        try:
            page = _parse(origin)
        except ValueError:
            page = None
        if page and (page in self._allowed or _is_asked_for(page, asked, headers)):
            return ""
        named = " and ".join(f"{_quote(name)}" for name in asked if name.strip()) or "no Host"
        return (
            f"the page is of {_quote(origin)}, but the server was asked for as {named}; if it is "
            "the server's own page, let the proxy pass Host and port on, or start "
            f"speech2face serve with --origin {_quote(origin)}"
        )


def read_origin(text: str) -> Address:
    """An origin as `--origin` takes it. Raises UsageError."""
    try:
        parts = urlsplit(text)
        if parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username):
            return _parse(text)
    except ValueError:
        pass
    raise UsageError(
        f"--origin is the address of the page without a path, as https://face.example.com, "
        f"not {text}."
    )


def _is_asked_for(page: Address, asked: list[str], headers: Mapping[str, str]) -> bool:
    scheme = page[0]
    outside = headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
    if outside == "https" and scheme == "http":  # what others may have changed on its way
        return False
    for name in asked:
        try:
            if page == _parse(f"{scheme}://{name.strip()}"):
                return True
        except ValueError:
            pass
    return False


def _parse(text: str) -> Address:
    """Raises ValueError."""
    parts = urlsplit(text)
    host = parts.hostname or ""
    if parts.scheme not in PORTS or not host:
        raise ValueError(text)
    if not host.isascii():
        host = host.encode("idna").decode()  # as browsers write it; UnicodeError is a ValueError
    return parts.scheme, host, parts.port or PORTS[parts.scheme]


def _quote(text: str) -> str:
    """Quote text of a request for a line of the log: printable, and not long."""
    return ascii(text.strip()[:200])[1:-1]
