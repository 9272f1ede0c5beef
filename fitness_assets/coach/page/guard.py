"""Protects the page: it answers only a browser on this machine that has the token.

The server listens on loopback. That alone stops neither other users of the machine nor web pages that make a browser
send requests there. So the Host header has to name loopback (against DNS rebinding), a session cookie is given only for
the token that the command prints, and every change needs a token that only the page's own forms have.
"""

import secrets
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

LARGEST_FORM = 65_536  # bytes
COOKIE = "fitness_coach"

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send no Origin with forms
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Lets requests through to an application.

    Args:
        app: the application.
        port: where the server listens.

    Attributes:
        token: opens a session; part of the address that the command prints.
        form_token: part of every form.
    """

    def __init__(self, app: Starlette, port: int) -> None:
        self._app: ASGIApp = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self.token = secrets.token_urlsafe(32)
        self.form_token = app.state.form_token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":  # starting and stopping; the server has no web sockets
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = self._refusal(request)

        async def send_with_headers(message: dict) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        await (answer or self._app)(scope, receive, send_with_headers)  # type: ignore[arg-type]

    def _refusal(self, request: Request) -> Response | None:
        """The answer to a request that may not pass; None if it may."""
        if request.headers.get("host", "") not in self._hosts:
            return PlainTextResponse("This page answers on 127.0.0.1 only.", 421)
        if given := request.query_params.get("token"):
            if not _same(given, self.token):
                return PlainTextResponse("This address is not valid: use the one that the command printed.", 403)
            answer = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, self._session, httponly=True, samesite="strict", path="/")
            return answer
        if not _same(request.cookies.get(COOKIE, ""), self._session):
            return PlainTextResponse("Open the address that the command printed; it ends with a token.", 403)
        origin = request.headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self._hosts:
            return PlainTextResponse("Requests of other pages are refused.", 403)
        if request.method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("There is nothing like that here.", 405)
        return None


class FormError(Exception):
    """A form that is refused; the message is one sentence for a person."""


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that has the form token.

    Raises:
        FormError: if it is too large, or has no or another token.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            raise FormError("The form is too large.")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise FormError("The form cannot be read.") from None
    form = {name: values[-1] for name, values in fields.items()}
    if not _same(form.pop("form_token", ""), request.app.state.form_token):
        raise FormError("The form is out of date: open the page again.")
    return form


def _same(given: str, expected: str) -> bool:
    return secrets.compare_digest(given.encode(errors="replace"), expected.encode())
