"""The form by which operators sign in on Dagster's page."""

from html import escape
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope

from resources.auth.callers import MAX_TOKEN_CHARS
from ytcaption.domain.errors import Forbidden, Unauthenticated
from ytcaption_assets.webserver.sessions import SESSION_S, Sessions

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"

MAX_FORM_BYTES = 4 * MAX_TOKEN_CHARS

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Dagster - ytcaption</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .5rem }}
button {{ margin-top: 1rem }}
</style>
<h1>Dagster</h1>
{content}
</html>
"""

_FORM = """<form method="post" action="{action}">
<label for="key">Key or token with the scope <code>admin</code></label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button>
{message}
</form>"""

_NO_KEYS = "There is no key yet. Create one with `ytcaption keys create NAME --scope admin`."

_SIGNED_IN = """<p>You are signed in. <a href="/">Open Dagster's page</a></p>
<form method="post" action="/sign-out"><button>Sign out</button></form>"""


class SignIn:
    """Answers the addresses `/sign-in` and `/sign-out`.

    Args:
        is_secure: the page is reached by https: the cookie is never sent in clear.
    """

    def __init__(self, sessions: Sessions, *, is_secure: bool) -> None:
        self._sessions, self._is_secure = sessions, is_secure
        # Browsers take `__Host-` from https only, for this host and no other.
        self.cookie = "__Host-ytcaption-dagster" if is_secure else "ytcaption-dagster"

    def id_of(self, scope: Scope) -> str | None:
        """Return the session that a request names; None if it names none."""
        # Not Starlette's parser: another program's odd cookie must not hide ours.
        for pair in Headers(scope=scope).get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self.cookie and value:
                return value
        return None

    async def is_signed_in(self, scope: Scope) -> bool:
        """Return whether a request's session is open.

        Raises:
            DatabaseUnavailable: the keys cannot be read.
        """
        id = self.id_of(scope)
        return id is not None and await self._sessions.admit(id)

    async def respond(self, scope: Scope, receive: Receive) -> Response:
        """Return the form, or what has come of it.

        Raises:
            DatabaseUnavailable: the keys cannot be read.
        """
        request = Request(scope, receive)
        if request.method == "POST" and scope["path"] == SIGN_OUT:
            if id := self.id_of(scope):
                self._sessions.close(id)
            response = RedirectResponse(SIGN_IN, 303)
            response.delete_cookie(
                self.cookie, secure=self._is_secure, httponly=True, samesite="strict"
            )
            return response
        target = _local(request.query_params.get("next", "/"))
        if request.method != "POST":
            if await self.is_signed_in(scope):
                return _html(_SIGNED_IN)
            has_keys = await self._sessions.are_needed()
            return _html(_form(target, "" if has_keys else _NO_KEYS))
        try:
            id = await self._sessions.open(await _key_of(request))
        except (Unauthenticated, Forbidden) as error:
            return _html(_form(target, error.message), 403)
        response = RedirectResponse(target, 303)
        response.set_cookie(
            self.cookie,
            id,
            max_age=int(SESSION_S),
            secure=self._is_secure,
            httponly=True,
            samesite="strict",
        )
        return response


def sign_in_address(scope: Scope) -> str:
    """Return the address of the form, which leads back to the requested page."""
    query = scope.get("query_string", b"").decode("latin-1")
    path = quote(scope["path"]) + (f"?{query}" if query else "")
    return SIGN_IN if path == "/" else f"{SIGN_IN}?next={quote(path, safe='')}"


def _form(target: str, message: str = "") -> str:
    action = SIGN_IN if target == "/" else f"{SIGN_IN}?next={quote(target, safe='')}"
    shown = f"<p role=alert>{escape(message)}</p>" if message else ""
    return _FORM.format(action=escape(action), message=shown)


def _html(content: str, status: int = 200) -> HTMLResponse:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(_PAGE.format(content=content), status, headers)


def _local(target: str) -> str:
    """Return a path of this page; `/` for anything that could lead elsewhere."""
    is_path = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_path and target.isprintable() and target.isascii() else "/"


async def _key_of(request: Request) -> str:
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_FORM_BYTES:
                raise Unauthenticated("This is not a key of this installation.")
    except ClientDisconnect:
        raise Unauthenticated("The form did not arrive.") from None
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return fields.get("key", [""])[0].strip()
