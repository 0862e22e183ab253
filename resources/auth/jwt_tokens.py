"""JWT bearer tokens, checked as RFC 8725 recommends (docs/adr/security-rules.md#rule-20)."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from resources.network.guarded_client import fetch_json
from ytcaption.domain.caller import SCOPES, Caller, Scope
from ytcaption.domain.errors import SetupError, SourceError, Unauthenticated
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

SIGNATURES = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Algorithms accepted with a JWKS: all use public keys, so that nobody can sign with them."""

MIN_RSA_BITS = 2_048
"""Least length of an RSA key (RFC 7518 section 3.3): shorter ones can be factored."""

MAX_AGE_S = 600.0
"""Age of the published keys after which they are fetched again."""

EXPIRES_AFTER_S = 3600.0
"""Age of the published keys after which they are no longer used."""

REFETCH_AFTER_S = 60.0
"""Shortest time between two fetches."""

LEEWAY_S = 30
"""Difference of clocks that is tolerated."""


class PublishedKeys:
    """An issuer's public keys (RFC 7517), fetched when first needed.

    Args:
        fetch: returns the JWKS document, or raises SourceError.
    """

    def __init__(
        self, fetch: Callable[[], Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._short: set[str | None] = set()
        self._fetched_at = self._tried_at = float("-inf")

    def needs_fetch(self, kid: str | None) -> bool:
        """Return whether a token with this `kid` justifies a fetch now."""
        now = self._clock()
        if now - self._tried_at < REFETCH_AFTER_S:
            return False
        is_known = kid in self._keys or kid in self._short
        return not is_known or now - self._fetched_at > MAX_AGE_S

    def refresh(self, kid: str | None) -> None:
        """Fetch the keys if `needs_fetch`; block meanwhile. A failure keeps the earlier keys."""
        with self._lock:
            if not self.needs_fetch(kid):
                return  # another thread has just fetched them
            self._tried_at = self._clock()
            try:
                self._keys, self._short = _usable(self._fetch())
                self._fetched_at = self._clock()
            except SourceError as error:
                logger.warning("the keys of JWT bearer tokens were not fetched: %s", error)

    def get(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key of this name, if it may be used."""
        if self._clock() - self._fetched_at > EXPIRES_AFTER_S:
            return None
        return self._keys.get(kid)

    def is_too_short(self, kid: str | None) -> bool:
        """Return whether the key of this name is published and too short to be used."""
        return kid in self._short and kid not in self._keys


class JwtTokens:
    """Checks tokens of one issuer for one audience.

    Args:
        key: the HS256 secret, or the issuer's public keys.
    """

    def __init__(self, key: str | PublishedKeys, *, issuer: str, audience: str) -> None:
        self._key, self._issuer, self._audience = key, issuer, audience

    @classmethod
    def from_settings(cls, settings: Settings) -> "JwtTokens | None":
        """Return the checker; None if the settings name neither a secret nor a JWKS URL.

        Raises:
            SetupError: the settings contradict each other.
        """
        secret, url = settings.api.jwt_secret, settings.api.jwt_jwks_url
        if not is_set_up(settings):
            if settings.api.jwt_issuer or settings.api.jwt_audience:
                raise SetupError(
                    "YTCAPTION_JWT_ISSUER and YTCAPTION_JWT_AUDIENCE need YTCAPTION_JWT_SECRET or "
                    "YTCAPTION_JWT_JWKS_URL as well. Set one of these, or none of the four."
                )
            return None
        if secret is not None and url:
            raise SetupError(
                "YTCAPTION_JWT_SECRET and YTCAPTION_JWT_JWKS_URL are two ways to check a token. "
                "Set one of them."
            )
        if not settings.api.jwt_issuer or not settings.api.jwt_audience:
            raise SetupError(
                "JWT bearer tokens need YTCAPTION_JWT_ISSUER and YTCAPTION_JWT_AUDIENCE: a token "
                "that was issued for another service must not be accepted here. Set both."
            )
        names = {"issuer": settings.api.jwt_issuer, "audience": settings.api.jwt_audience}
        if secret is not None:
            if len(secret.get_secret_value()) < 32:
                raise SetupError(
                    "YTCAPTION_JWT_SECRET is shorter than 32 characters. Create one with "
                    "`openssl rand -base64 48`."
                )
            return cls(secret.get_secret_value(), **names)
        return cls(PublishedKeys(_fetcher(url or "", settings)), **names)

    def has_key_of(self, token: str) -> bool:
        """Return whether `caller` can check the token without a fetch."""
        return not isinstance(self._key, PublishedKeys) or self._key.get(_kid(token)) is not None

    def needs_fetch(self, token: str) -> bool:
        """Return whether `refresh` should be called for the token."""
        return isinstance(self._key, PublishedKeys) and self._key.needs_fetch(_kid(token))

    def refresh(self, token: str) -> None:
        """Fetch the keys that a token needs; block meanwhile, never raise."""
        if isinstance(self._key, PublishedKeys):
            self._key.refresh(_kid(token))

    def caller(self, token: str) -> Caller:
        """Return the caller that a token names, with its scopes.

        Raises:
            Unauthenticated: the token is not valid. The message gives the reason and quotes nothing
                of the token.
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
            raise Unauthenticated(f"The token is not valid: {_reason(error)}.") from None
        return _caller(claims)

    def _checked_with(self, token: str) -> tuple[str | jwt.PyJWK, list[str]]:
        if isinstance(self._key, str):
            return self._key, ["HS256"]
        # Keys that the token itself names (jku, x5u, jwk) are never used.
        kid = _kid(token)
        key = self._key.get(kid)
        if key is None and self._key.is_too_short(kid):
            raise Unauthenticated(
                "The token is not valid: the issuer's RSA key has fewer than "
                f"{MIN_RSA_BITS:,} bits."
            )
        if key is None:
            raise Unauthenticated("The token is not valid: the issuer has no key of its name.")
        return key, [key.algorithm_name]


def is_set_up(settings: Settings) -> bool:
    """Return whether the settings enable tokens."""
    return settings.api.jwt_secret is not None or bool(settings.api.jwt_jwks_url)


def _fetcher(url: str, settings: Settings) -> Callable[[], Any]:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        usable = False
    if not usable:
        raise SetupError("YTCAPTION_JWT_JWKS_URL must be an https URL without a user name.")
    if url.startswith("http:") and not settings.download.allowed_networks:
        raise SetupError(
            "YTCAPTION_JWT_JWKS_URL is not https: others could replace the keys on the network. "
            "Use https."
        )
    return lambda: fetch_json(url, allowed_networks=settings.download.allowed_networks)


def _usable(document: Any) -> tuple[dict[str | None, jwt.PyJWK], set[str | None]]:
    """Return the public keys for signatures by name, and the names of RSA keys that are too
    short."""
    listed = document.get("keys") if isinstance(document, dict) else None
    keys: dict[str | None, jwt.PyJWK] = {}
    short: set[str | None] = set()
    for data in listed if isinstance(listed, list) else []:
        try:
            key = jwt.PyJWK(data)
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
            continue  # of an unknown kind
        if key.algorithm_name not in SIGNATURES or data.get("use", "sig") != "sig":
            continue
        if isinstance(key.key, RSAPublicKey | RSAPrivateKey) and key.key.key_size < MIN_RSA_BITS:
            logger.warning(
                "the issuer's RSA key %r has %d bits and is not used: ask for one of %d or more",
                *(key.key_id, key.key.key_size, MIN_RSA_BITS),
            )
            short.add(key.key_id)
        else:
            keys[key.key_id] = key
    return keys, short


def _kid(token: str) -> str | None:
    try:
        return jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        return None


def _caller(claims: Mapping[str, Any]) -> Caller:
    issuer, subject, scope = str(claims["iss"]), claims["sub"], claims.get("scope", "")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or not subject.isprintable():
        raise Unauthenticated("The token is not valid: its `sub` must have 1 to 255 characters.")
    granted = scope.split(" ") if isinstance(scope, str) else []
    scopes: frozenset[Scope] = frozenset(name for name in SCOPES if name in granted)
    return Caller(f"jwt:{issuer}:{subject}", scopes)


def _reason(error: jwt.PyJWTError) -> str:
    """Return the reason without PyJWT's message, which quotes claims and their values."""
    reasons: dict[type[jwt.PyJWTError], str] = {
        jwt.ExpiredSignatureError: "it has expired",
        jwt.ImmatureSignatureError: "it is not valid yet",
        jwt.InvalidAudienceError: "it is for another audience",
        jwt.InvalidIssuerError: "it is from another issuer",
        jwt.MissingRequiredClaimError: "it needs `iss`, `aud`, `exp` and `sub`",
        jwt.InvalidSignatureError: "its signature is wrong",
        jwt.InvalidAlgorithmError: "its signature algorithm is not accepted here",
    }
    return next((text for kind, text in reasons.items() if isinstance(error, kind)), "it is no JWT")
