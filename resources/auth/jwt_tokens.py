"""JWT bearer tokens: whom they name, checked as RFC 8725 says (rule 20)."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import jwt

from resources.network.guarded_client import fetch_json
from ytcaption.domain.caller import SCOPES, Caller, Scope
from ytcaption.domain.errors import SetupError, SourceError, Unauthenticated
from ytcaption.settings import Settings

logger = logging.getLogger(__name__)

SIGNATURES = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""With a JWKS: public keys only, so that nobody signs with what is published."""

MAX_AGE_S = 600.0
"""After which the published keys are fetched again."""

LOST_AFTER_S = 3600.0
"""After which keys that cannot be fetched again count no more."""

ASK_AGAIN_S = 60.0
"""Between two fetches at least, whatever tokens come."""

LEEWAY_S = 30
"""By which clocks may differ."""


class PublishedKeys:
    """An issuer's public keys (RFC 7517), fetched when they are first needed."""

    def __init__(
        self, fetch: Callable[[], Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")

    def needs_fetch(self, kid: str | None) -> bool:
        """Whether a token with this `kid` is worth a fetch now."""
        now = self._clock()
        if now - self._tried_at < ASK_AGAIN_S:
            return False
        return kid not in self._keys or now - self._fetched_at > MAX_AGE_S

    def refresh(self, kid: str | None) -> None:
        """Fetches, if that is worth it; blocks. What was known stays if it fails."""
        with self._lock:
            if not self.needs_fetch(kid):
                return  # somebody else has just done it
            self._tried_at = self._clock()
            try:
                self._keys = _usable(self._fetch())
                self._fetched_at = self._clock()
            except SourceError as error:
                logger.warning("the keys of JWT bearer tokens were not fetched: %s", error)

    def get(self, kid: str | None) -> jwt.PyJWK | None:
        """The key of that name."""
        if self._clock() - self._fetched_at > LOST_AFTER_S:
            return None
        return self._keys.get(kid)


class JwtTokens:
    """Checks tokens of one issuer for one audience.

    Args:
        key: the HS256 secret, or the issuer's public keys.
    """

    def __init__(self, key: str | PublishedKeys, *, issuer: str, audience: str) -> None:
        self._key, self._issuer, self._audience = key, issuer, audience

    @classmethod
    def from_settings(cls, settings: Settings) -> "JwtTokens | None":
        """As the settings say; None where they name neither a secret nor a JWKS URL.

        Raises:
            SetupError: settings that do not fit together.
        """
        secret, url = settings.jwt_secret, settings.jwt_jwks_url
        if not is_set_up(settings):
            if settings.jwt_issuer or settings.jwt_audience:
                raise SetupError(
                    "YTCAPTION_JWT_ISSUER and YTCAPTION_JWT_AUDIENCE need YTCAPTION_JWT_SECRET or "
                    "YTCAPTION_JWT_JWKS_URL beside them. Set one of these, or none of the four."
                )
            return None
        if secret is not None and url:
            raise SetupError(
                "YTCAPTION_JWT_SECRET and YTCAPTION_JWT_JWKS_URL are two ways to check a token. "
                "Set one of them."
            )
        if not settings.jwt_issuer or not settings.jwt_audience:
            raise SetupError(
                "JWT bearer tokens need YTCAPTION_JWT_ISSUER and YTCAPTION_JWT_AUDIENCE: a token "
                "that was made for somebody else must not open this API. Set both."
            )
        names = {"issuer": settings.jwt_issuer, "audience": settings.jwt_audience}
        if secret is not None:
            if len(secret.get_secret_value()) < 32:
                raise SetupError(
                    "YTCAPTION_JWT_SECRET is shorter than 32 characters. Make one with "
                    "`openssl rand -base64 48`."
                )
            return cls(secret.get_secret_value(), **names)
        return cls(PublishedKeys(_fetching(url or "", settings)), **names)

    def has_key_of(self, token: str) -> bool:
        """Whether `caller` can tell without a fetch."""
        return not isinstance(self._key, PublishedKeys) or self._key.get(_kid(token)) is not None

    def needs_fetch(self, token: str) -> bool:
        """Whether it is time for `refresh`."""
        return isinstance(self._key, PublishedKeys) and self._key.needs_fetch(_kid(token))

    def refresh(self, token: str) -> None:
        """Fetches the keys that a token needs; blocks, never raises."""
        if isinstance(self._key, PublishedKeys):
            self._key.refresh(_kid(token))

    def caller(self, token: str) -> Caller:
        """Whom a token names, and what it lets them do.

        Raises:
            Unauthenticated: it does not hold; says why, and nothing of what it holds.
        """
        key, algorithms = self._checked_with(token)
        try:
            claims = jwt.decode(
                token,
                cast(Any, key),
                algorithms=algorithms,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={"require": ["iss", "aud", "exp", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"The token does not hold: {_reason(error)}.") from None
        return _caller(claims)

    def _checked_with(self, token: str) -> tuple[str | jwt.PyJWK, list[str]]:
        if isinstance(self._key, str):
            return self._key, ["HS256"]
        # Names of keys inside the token (jku, x5u, jwk) are never looked at.
        key = self._key.get(_kid(token))
        if key is None:
            raise Unauthenticated("The token does not hold: no key of the issuer's is its own.")
        return key, [key.algorithm_name]


def is_set_up(settings: Settings) -> bool:
    """Whether tokens are asked for."""
    return settings.jwt_secret is not None or bool(settings.jwt_jwks_url)


def _fetching(url: str, settings: Settings) -> Callable[[], Any]:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        usable = False
    if not usable:
        raise SetupError("YTCAPTION_JWT_JWKS_URL is no https URL without a user name. Change it.")
    if url.startswith("http:") and not settings.allowed_networks:
        raise SetupError(
            "YTCAPTION_JWT_JWKS_URL is not https, so that others could put their keys into it. "
            "Use https."
        )
    return lambda: fetch_json(url, allowed_networks=settings.allowed_networks)


def _usable(document: Any) -> dict[str | None, jwt.PyJWK]:
    """Public keys for signatures, by name."""
    listed = document.get("keys") if isinstance(document, dict) else None
    found: dict[str | None, jwt.PyJWK] = {}
    for data in listed if isinstance(listed, list) else []:
        try:
            key = jwt.PyJWK(data)
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
            continue  # of a kind we do not know
        if key.algorithm_name in SIGNATURES and data.get("use", "sig") == "sig":
            found[key.key_id] = key
    return found


def _kid(token: str) -> str | None:
    try:
        return jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        return None


def _caller(claims: Mapping[str, Any]) -> Caller:
    issuer, subject, scope = str(claims["iss"]), claims["sub"], claims.get("scope", "")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or not subject.isprintable():
        raise Unauthenticated("The token does not hold: its `sub` has no 1 to 255 characters.")
    asked = scope.split(" ") if isinstance(scope, str) else []
    scopes: frozenset[Scope] = frozenset(name for name in SCOPES if name in asked)
    return Caller(f"jwt:{issuer}:{subject}", scopes)


def _reason(error: jwt.PyJWTError) -> str:
    """In our words: PyJWT's name claims and their values."""
    reasons: dict[type[jwt.PyJWTError], str] = {
        jwt.ExpiredSignatureError: "it has expired",
        jwt.ImmatureSignatureError: "it is not valid yet",
        jwt.InvalidAudienceError: "it is for another audience",
        jwt.InvalidIssuerError: "it is of another issuer",
        jwt.MissingRequiredClaimError: "it needs `iss`, `aud`, `exp` and `sub`",
        jwt.InvalidSignatureError: "its signature is wrong",
        jwt.InvalidAlgorithmError: "it is signed in a way that is not taken here",
    }
    return next((said for kind, said in reasons.items() if isinstance(error, kind)), "it is no JWT")
