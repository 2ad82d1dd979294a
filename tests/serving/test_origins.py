"""Which pages may open a stream: what browsers and proxies send, compared."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from speech2face.errors import UsageError
from speech2face.serving.origins import Origins

PAGE = "https://face.example.com"


@pytest.mark.parametrize(
    ("origin", "headers"),
    [
        (None, {"Host": "a"}),  # no browser
        ("http://127.0.0.1:8000", {"Host": "127.0.0.1:8000"}),
        ("http://[::1]:8000", {"Host": "[::1]:8000"}),
        (PAGE, {"Host": "face.example.com"}),
        (PAGE, {"Host": "face.example.com:443"}),
        (f"{PAGE}:443", {"Host": "face.example.com"}),
        ("http://face.example.com", {"Host": "face.example.com:80"}),
        (PAGE, {"Host": "FACE.Example.com"}),
        ("HTTPS://Face.example.com", {"Host": "face.example.com"}),
        (PAGE, {"Host": "127.0.0.1:8000", "X-Forwarded-Host": "face.example.com"}),
        (PAGE, {"Host": "inner", "X-Forwarded-Host": "face.example.com:443, inner:80"}),
        (PAGE, {"Host": "face.example.com", "X-Forwarded-Proto": "https"}),
        (PAGE, {"Host": "face.example.com", "X-Forwarded-Proto": "http"}),  # TLS ends before it
        ("https://xn--mller-kva.example", {"Host": "müller.example"}),
    ],
)
def test_its_own_page_may(origin: str | None, headers: dict[str, str]) -> None:
    assert Origins().explain_refusal(origin, Headers(headers)) == ""


@pytest.mark.parametrize(
    ("origin", "headers"),
    [
        ("https://elsewhere.example", {"Host": "face.example.com"}),
        (f"{PAGE}:8443", {"Host": "face.example.com"}),
        ("http://127.0.0.1:8001", {"Host": "127.0.0.1:8000"}),
        ("http://127.0.0.1:8000", {"Host": "localhost:8000"}),
        ("https://face.example.com.elsewhere.example", {"Host": "face.example.com"}),
        ("https://face.example.com@elsewhere.example", {"Host": "face.example.com"}),
        ("http://face.example.com", {"Host": "face.example.com", "X-Forwarded-Proto": "https"}),
        ("null", {"Host": "null"}),
        ("", {"Host": ""}),
        ("http://[", {"Host": "["}),
        ("https://a:99999", {"Host": "a:99999"}),
        ("file:///etc", {"Host": ""}),
        (PAGE, {}),
    ],
)
def test_any_other_may_not_and_is_told_why(origin: str, headers: dict[str, str]) -> None:
    refusal = Origins().explain_refusal(origin, Headers(headers))
    assert f"the page is of {origin}, " in refusal
    assert "--origin" in refusal


def test_what_those_who_run_it_allow_may_under_any_host() -> None:
    origins = Origins([f"{PAGE}/", "http://localhost:3000"])
    for origin in (PAGE, f"{PAGE}:443", "http://LOCALHOST:3000"):
        assert origins.explain_refusal(origin, Headers({"Host": "10.0.0.1:8000"})) == ""
    for origin in ("http://face.example.com", "http://localhost:3001"):
        assert origins.explain_refusal(origin, Headers({"Host": "10.0.0.1:8000"}))


@pytest.mark.parametrize(
    "origin", ["face.example.com", "*", "", "https://", f"{PAGE}/face/", "ftp://a", "https://a:x"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(UsageError, match="--origin is the address of the page"):
        Origins([origin])


def test_a_line_of_the_log_stays_one() -> None:
    refusal = Origins().explain_refusal("https://a\n\x1b[31m" + "b" * 999, Headers({"Host": "c"}))
    assert refusal.isprintable()
    assert len(refusal) < 900
