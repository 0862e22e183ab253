"""Which requests come from pages of other sites."""

import pytest
from starlette.datastructures import Headers

from resources.http_server.origin import foreign_origin, host_of, is_own_host, origin_of

pytestmark = pytest.mark.unit

TRUSTED = frozenset({"https://app.example"})
HOST = ("host", "127.0.0.1:8000")


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode()) for name, value in pairs])


@pytest.mark.parametrize(
    ("sent", "foreign"),
    [
        ([HOST], None),
        ([HOST, ("origin", "http://127.0.0.1:8000")], None),
        ([HOST, ("origin", "http://127.0.0.1:8000"), ("sec-fetch-site", "same-origin")], None),
        ([HOST, ("sec-fetch-site", "none")], None),
        # A proxy replaced `Host`; the browser knows better.
        ([HOST, ("origin", "https://captions.example"), ("sec-fetch-site", "same-origin")], None),
        ([HOST, ("origin", "https://app.example"), ("sec-fetch-site", "cross-site")], None),
        ([HOST, ("origin", "https://evil.example")], "https://evil.example"),
        ([HOST, ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
         "https://evil.example"),
        ([HOST, ("origin", "http://127.0.0.1:9000")], "http://127.0.0.1:9000"),
        ([HOST, ("origin", "http://localhost:8000")], "http://localhost:8000"),
        ([HOST, ("origin", "http://127.0.0.1:8000"), ("sec-fetch-site", "same-site")],
         "http://127.0.0.1:8000"),
        ([HOST, ("sec-fetch-site", "same-site")], "another site"),
        ([HOST, ("sec-fetch-site", "cross-site")], "another site"),
        ([HOST, ("sec-fetch-site", "")], "another site"),
        ([HOST, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
         "another site"),
        ([HOST, ("origin", "null")], "null"),
        ([HOST, ("origin", "")], "another site"),
        ([HOST, ("origin", "http://127.0.0.1:8000.evil.example")],
         "http://127.0.0.1:8000.evil.example"),
        ([HOST, ("origin", "http://127.0.0.1:8000@evil.example")],
         "http://127.0.0.1:8000@evil.example"),
        ([HOST, ("origin", "https://app.example"), ("origin", "http://127.0.0.1:8000")],
         "https://app.example, http://127.0.0.1:8000"),
        ([("origin", "http://127.0.0.1:8000")], "http://127.0.0.1:8000"),
    ],
)  # fmt: skip
def test_a_page_of_another_origin_is_recognised(
    sent: list[tuple[str, str]], foreign: str | None
) -> None:
    """By the browser's verdict, else by the origin it names; programs name none."""
    found = foreign_origin(headers(*sent), TRUSTED)
    assert found == foreign


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:3000", "127.0.0.1", "localhost:3000", "LOCALHOST", "[::1]:3000", "127.8.8.8:1",
     "dagster.example"],
)  # fmt: skip
def test_own_hosts(host: str) -> None:
    """Loopback with any port (a tunnel may change it), and the hosts of the settings."""
    assert is_own_host(headers(("host", host)), {"dagster.example"})


@pytest.mark.parametrize(
    "sent",
    [[], ["evil.example"], ["127.0.0.1.evil.example:3000"], ["localhost.evil.example"],
     ["evil.example:127"], ["10.0.0.1:3000"], ["dagster.example:81"], ["0.0.0.0:3000"], [""],
     ["127.0.0.1:3000", "evil.example"]],
)  # fmt: skip
def test_other_hosts(sent: list[str]) -> None:
    """A page whose name leads here sends its own name."""
    assert not is_own_host(headers(*(("host", each) for each in sent)), {"dagster.example"})


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        (
            "https://Captions.example.org/path",
            "captions.example.org",
            "https://captions.example.org",
        ),
        (
            "https://captions.example.org:443",
            "captions.example.org",
            "https://captions.example.org",
        ),
        ("http://[::1]:8000", "[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_origins_are_written_as_browsers_do(url: str, host: str, origin: str) -> None:
    """In lower case, without the scheme's own port."""
    assert (host_of(url), origin_of(url)) == (host, origin)
