"""Who may talk to the studio: pages of its own, opened by the link that it printed, and nobody else.

The secret of the link becomes a cookie that scripts cannot read and other sites cannot send. ``Host`` must
name this server, which stops DNS rebinding; ``Origin`` and ``Sec-Fetch-Site`` must be our own, which stops
other sites' requests even from the same machine.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
CLOSED = "This is a mira studio, but not by its link: open the one that `mira studio` printed.\n"


class Guard:
    """Middleware that answers strangers itself.

    Parameters
    ----------
    app
        What it guards.
    token
        The secret of the link.
    port
        Where the studio listens.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app = app
        self.token = token
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.cookie = f"mira-studio-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on what may pass; every answer bears the headers."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._answer(scope) or self.app
        await answer(scope, receive, send_guarded)

    def _answer(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if headers.get("host") not in self.hosts:
            return JSONResponse({"error": "this host name is not the studio's"}, 421)
        if not self._own_page(scope, headers):
            return JSONResponse({"error": "only the studio's own page may ask that"}, 403)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and given:
            if not self._is_token(given):
                return PlainTextResponse(CLOSED, 403)
            answer = RedirectResponse("/", 303)
            answer.set_cookie(
                self.cookie, self.token, max_age=30 * 86400, path="/", httponly=True, samesite="strict"
            )
            return answer
        if not self._is_token(self._cookie_of(headers)):
            return PlainTextResponse(CLOSED, 403)
        return None

    def _own_page(self, scope: Scope, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self.hosts}:
            return False
        reads = scope["method"] in ("GET", "HEAD")
        if not reads and origin is None:
            return False
        # The first link may stand anywhere, in a chat for one; only it may be followed from another site.
        site = headers.get("sec-fetch-site", "none")
        return site in ("same-origin", "none") or (reads and scope["path"] == "/")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _cookie_of(self, headers: Headers) -> str:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return morsel.value if morsel else ""
