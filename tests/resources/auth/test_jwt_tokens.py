"""JWT bearer tokens: which are accepted and which are refused (rule 20, RFC 8725)."""

import base64
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pydantic import SecretStr

from resources.auth.jwt_tokens import JwtTokens, PublishedKeys
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.errors import SetupError, SourceUnavailable, Unauthenticated
from ytcaption.settings.settings import Settings

SECRET = "a-secret-of-more-than-thirty-two-characters"
ISSUER, AUDIENCE = "https://issuer.example", "ytcaption"
PRIVATE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE_KEY = ec.generate_private_key(ec.SECP256R1())


def claims(**changes: object) -> dict[str, Any]:
    """Return valid claims with changes; None removes one."""
    valid = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "exp": int(time.time()) + 300,
        "scope": "read write",
    }
    return {name: value for name, value in (valid | changes).items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **changes: object):
    """Return a signed token."""
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def jwks(**keys: Any) -> dict[str, Any]:
    """Return the JWKS document of an issuer with these keys."""
    published = []
    for kid, key in keys.items():
        maker = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        published.append(json.loads(maker.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"})
    return {"keys": published}


@pytest.fixture
def by_secret() -> JwtTokens:
    """A checker of tokens that are signed with the shared secret."""
    return JwtTokens(SECRET, issuer=ISSUER, audience=AUDIENCE)


class Issuer:
    """Publishes keys, and can be unavailable."""

    def __init__(self, **keys: Any) -> None:
        self.keys, self.fetches, self.is_down, self.now = keys, 0, False, 1000.0

    def fetch(self) -> Mapping[str, Any]:
        self.fetches += 1
        if self.is_down:
            raise SourceUnavailable("issuer.example does not answer.")
        return jwks(**self.keys)

    def tokens(self) -> JwtTokens:
        published = PublishedKeys(self.fetch, clock=lambda: self.now)
        return JwtTokens(published, issuer=ISSUER, audience=AUDIENCE)


def check(tokens: JwtTokens, token: str):
    """Check a token as the API does."""
    if tokens.needs_fetch(token):
        tokens.refresh(token)
    return tokens.caller(token)


def test_a_token_names_owner_and_scopes(by_secret: JwtTokens) -> None:
    """Unknown scopes are ignored."""
    caller = by_secret.caller(signed(scope="openid read  admin email"))

    assert caller.owner == f"jwt:{ISSUER}:ada"
    assert caller.scopes == {"read", "admin"}
    assert by_secret.caller(signed(scope=None)).scopes == frozenset()
    assert by_secret.caller(signed(scope=["admin"])).scopes == frozenset()
    assert by_secret.caller(signed(aud=["other", AUDIENCE])).owner == caller.owner


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"exp": 1}, "expired"),
        ({"nbf": 2**32}, "not valid yet"),  # not by the clock: tests are collected long before
        ({"aud": "another"}, "another audience"),
        ({"aud": ["another"]}, "another audience"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "needs `iss`"),
        ({"aud": None}, "needs `iss`"),
        ({"exp": None}, "needs `iss`"),
        ({"sub": None}, "needs `iss`"),
        ({"sub": ""}, "sub"),
        ({"sub": "a" * 256}, "sub"),
        ({"sub": "a\0b"}, "sub"),
        ({"exp": "soon"}, "no JWT"),
    ],
)
def test_invalid_claims(by_secret: JwtTokens, changes: dict[str, object], says: str) -> None:
    """They are refused with a reason that quotes nothing of the token."""
    with pytest.raises(Unauthenticated, match=says) as error:
        by_secret.caller(signed(**changes))
    assert "evil.example" not in str(error.value)


def _unsigned() -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims())
    encoded = (base64.urlsafe_b64encode(json.dumps(it).encode()).rstrip(b"=") for it in parts)
    return b".".join(encoded).decode() + "."


@pytest.mark.parametrize(
    "token",
    [
        _unsigned(),
        signed("another-secret-of-more-than-thirty-two-chars"),
        signed(SECRET * 2, "HS512"),
        signed(PRIVATE_KEY, "RS256"),
        signed() + "x",
        signed().rpartition(".")[0] + ".",
        "", "a.b.c", "....", "é.é.é", "ytc.a.b",
    ],
)  # fmt: skip
def test_invalid_signatures(by_secret: JwtTokens, token: str) -> None:
    """Another secret or algorithm, no signature, and texts that are no token, are refused."""
    with pytest.raises(Unauthenticated):
        by_secret.caller(token)


def test_public_keys_are_fetched_once() -> None:
    """One fetch serves all tokens, with RSA and elliptic curves."""
    issuer = Issuer(one=PRIVATE_KEY, two=CURVE_KEY)
    tokens = issuer.tokens()

    for _ in range(3):
        assert check(tokens, signed(PRIVATE_KEY, "RS256", "one")).owner == f"jwt:{ISSUER}:ada"
        assert check(tokens, signed(CURVE_KEY, "ES256", "two")).scopes == {"read", "write"}
    assert issuer.fetches == 1


def test_a_public_key_is_no_shared_secret() -> None:
    """HS256 with the published key as the secret is refused (CVE-2022-29217)."""
    tokens = Issuer(one=PRIVATE_KEY).tokens()
    public = PRIVATE_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # Without PyJWT, which does not sign with a public key.
    body, _, _ = signed(kid="one").rpartition(".")
    mac = base64.urlsafe_b64encode(hmac.digest(public, body.encode(), "sha256")).rstrip(b"=")
    confused = f"{body}.{mac.decode()}"

    for token in (
        confused,
        signed(PRIVATE_KEY, "RS512", "one"),
        signed(PRIVATE_KEY, "PS256", "one"),
    ):
        with pytest.raises(Unauthenticated, match="not accepted here"):
            check(tokens, token)


def test_published_secrets_are_not_used() -> None:
    """An `oct` key, one for encryption and one of an unknown kind are ignored."""
    octet = {"kty": "oct", "k": base64.urlsafe_b64encode(SECRET.encode()).decode(), "kid": "o"}
    encryption = jwks(e=PRIVATE_KEY)["keys"][0] | {"use": "enc"}
    documents = [{"keys": [octet, encryption, {"kty": "?"}, 7, None]}, {"keys": 7}, [], None, "x"]
    for document in documents:
        published = PublishedKeys(lambda document=document: document)
        tokens = JwtTokens(published, issuer=ISSUER, audience=AUDIENCE)
        for token in (signed(kid="o"), signed(PRIVATE_KEY, "RS256", "e")):
            with pytest.raises(Unauthenticated, match="the issuer has no key"):
                check(tokens, token)


def test_a_short_rsa_key_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Below 2,048 bits: the caller gets a sentence, the log names the key, other keys are used."""
    short = rsa.generate_private_key(public_exponent=65537, key_size=2040)
    issuer = Issuer(short=short, long=PRIVATE_KEY)
    tokens = issuer.tokens()

    for _ in range(2):
        with pytest.raises(Unauthenticated, match="RSA key has fewer than 2,048 bits"):
            check(tokens, signed(short, "RS256", "short"))
    assert check(tokens, signed(PRIVATE_KEY, "RS256", "long")).owner == f"jwt:{ISSUER}:ada"
    assert issuer.fetches == 1
    assert "the issuer's RSA key 'short' has 2040 bits and is not used" in caplog.text


def test_keys_that_the_token_brings_are_ignored() -> None:
    """`jwk`, `jku` and `x5u` of an attacker name his own key."""
    issuer = Issuer(one=PRIVATE_KEY)
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    headers = {
        "kid": "one",
        "jwk": jwks(one=own)["keys"][0],
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/x5u",
    }
    token = jwt.encode(claims(), own, algorithm="RS256", headers=headers)

    with pytest.raises(Unauthenticated, match="signature"):
        check(issuer.tokens(), token)


def test_an_unknown_key_is_looked_for_once_a_minute() -> None:
    """However many tokens name it; a new key is found by then."""
    issuer = Issuer(one=PRIVATE_KEY)
    tokens = issuer.tokens()
    check(tokens, signed(PRIVATE_KEY, "RS256", "one"))
    new = signed(CURVE_KEY, "ES256", "new")
    issuer.keys["new"] = CURVE_KEY

    for _ in range(50):
        with pytest.raises(Unauthenticated):
            check(tokens, new)
    assert issuer.fetches == 1
    issuer.now += 60

    assert check(tokens, new).owner == f"jwt:{ISSUER}:ada"
    assert issuer.fetches == 2


def test_an_issuer_that_is_away_does_not_lock_everybody_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The last keys hold for an hour, and the log says what is wrong; then they hold no more."""
    issuer = Issuer(one=PRIVATE_KEY)
    tokens = issuer.tokens()
    token = signed(PRIVATE_KEY, "RS256", "one")
    check(tokens, token)
    issuer.is_down = True

    issuer.now += 1200
    assert check(tokens, token).owner == f"jwt:{ISSUER}:ada"
    assert "were not fetched: issuer.example does not answer" in caplog.text
    issuer.now += 3600

    with pytest.raises(Unauthenticated):
        check(tokens, token)


def test_a_withdrawn_key_is_refused() -> None:
    """It is refused within ten minutes."""
    issuer = Issuer(one=PRIVATE_KEY, two=CURVE_KEY)
    tokens = issuer.tokens()
    token = signed(PRIVATE_KEY, "RS256", "one")
    check(tokens, token)
    del issuer.keys["one"]
    issuer.now += 601

    with pytest.raises(Unauthenticated):
        check(tokens, token)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"jwt_issuer": ISSUER}, "JWT_SECRET or YTCAPTION_JWT_JWKS_URL"),
        ({"jwt_audience": AUDIENCE}, "JWT_SECRET or YTCAPTION_JWT_JWKS_URL"),
        ({"jwt_secret": SecretStr(SECRET)}, "need YTCAPTION_JWT_ISSUER and"),
        ({"jwt_secret": SecretStr(SECRET), "jwt_issuer": ISSUER}, "need YTCAPTION_JWT_ISSUER and"),
        ({"jwt_jwks_url": "https://a.example/k"}, "need YTCAPTION_JWT_ISSUER and"),
        (
            {"jwt_secret": SecretStr("x" * 31), "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE},
            "shorter than 32",
        ),
        ({"jwt_secret": SecretStr(SECRET), "jwt_jwks_url": "https://a.example/k"}, "two ways"),
        *(
            (
                {"jwt_jwks_url": url, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE},
                "must be an https URL",
            )
            for url in ("file:///etc/passwd", "https://", "https://u:p@a.example/k", "https://[")
        ),
        (
            {"jwt_jwks_url": "http://a.example", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE},
            "Use https",
        ),
    ],
)
def test_settings_that_do_not_fit(changes: dict[str, object], says: str) -> None:
    """They fail at the start with a sentence that names the variable and never the secret."""
    settings = Settings(_env_file=None).changed(**changes)  # pyright: ignore
    with pytest.raises(SetupError, match=says) as error:
        JwtTokens.from_settings(settings)
    assert SECRET not in str(error.value)
    assert "u:p@" not in str(error.value)


def test_without_settings_there_are_no_tokens() -> None:
    """There is no checker if all four settings are unset."""
    assert JwtTokens.from_settings(Settings(_env_file=None)) is None  # pyright: ignore


@pytest.mark.slow
def test_published_keys_are_fetched_by_the_guarded_client(caplog: pytest.LogCaptureFixture) -> None:
    """A private address needs a setting, and no redirect is followed."""
    token = signed(PRIVATE_KEY, "RS256", "one")

    def caller(url: str, networks: tuple[str, ...]) -> Callable[[], object]:
        settings = Settings(_env_file=None).changed(
            jwt_jwks_url=url,
            jwt_issuer=ISSUER,
            jwt_audience=AUDIENCE,
            allowed_networks=networks,
        )
        tokens = JwtTokens.from_settings(settings)
        assert tokens is not None
        return lambda: check(tokens, token)

    caplog.set_level(logging.WARNING)
    with MediaServer() as server:
        good = server.serve("jwks.json", json.dumps(jwks(one=PRIVATE_KEY)).encode())
        assert caller(good, ("127.0.0.0/8",))()
        for url, networks, says in (
            (good, ("10.0.0.0/8",), "its address is not public"),
            (server.url("redirect", to=good, status=302), ("127.0.0.0/8",), "status 302"),
            (server.url("slow/jfk.flac", rate=4000), ("127.0.0.0/8",), "too slow"),
            (server.url("endless/x"), ("127.0.0.0/8",), "over 262144 bytes"),
            (
                server.serve("no.json", b"<html>"),
                ("127.0.0.0/8",),
                "JSON document: JSONDecodeError",
            ),
        ):
            caplog.clear()
            with pytest.raises(Unauthenticated, match="the issuer has no key"):
                caller(url, networks)()
            assert says in caplog.text
