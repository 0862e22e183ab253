"""Webhooks by https: sent only to who proves to be the host that the URL names."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.resources.webhooks.notifying import box, here, notifying, settled  # noqa: F401
from tests.resources.webhooks.outboxes import Box
from tests.security.names import Names
from tests.support.servers.webhook_receiver import WebhookReceiver
from ytcaption.settings.settings import Settings

HOST = "hooks.example.org"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)

Start = Callable[[trustme.LeafCert], WebhookReceiver]


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Names) -> trustme.CA:
    """The one that is trusted; `hooks.example.org` is on loopback."""
    found = trustme.CA()
    found.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    names.answer(HOST, ["127.0.0.1"])
    return found


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts receivers that show a certificate."""
    with ExitStack() as stack:

        def started(certificate: trustme.LeafCert) -> WebhookReceiver:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            return stack.enter_context(WebhookReceiver(tls=context))

        yield started


def sent_to(box: Box, settings: Settings, url: str) -> str:
    """The outcome of one attempt."""
    with notifying(settings):
        box.failed(callback=url)
        [row] = settled(box, 1)
    return row["last_outcome"]


def test_a_certificate_of_the_host_is_trusted(
    box: Box, here: Settings, authority: trustme.CA, start: Start
) -> None:
    """Also by a wildcard; what arrives is signed as by http."""
    for certificate in (authority.issue_cert(HOST), authority.issue_cert("*.example.org")):
        receiver = start(certificate)
        webhook = box.webhook(receiver.url(host=HOST))
        receiver.secrets.append(box.webhooks.secrets(webhook.id, "local").secret)
        with notifying(here):
            box.failed(f"m{receiver.url()[-9:-5]}")
            [received] = receiver.wait(1)
        assert received.verified_by == (0,)
        box.webhooks.delete(webhook.id, "local")


WRONG: list[tuple[str, Callable[[trustme.CA], trustme.LeafCert]]] = [
    ("of another host", lambda authority: authority.issue_cert("hooks.example.com")),
    ("of the domain above", lambda authority: authority.issue_cert("example.org")),
    ("of a wildcard a level too high", lambda authority: authority.issue_cert("*.org")),
    ("of its address", lambda authority: authority.issue_cert("127.0.0.1")),
    ("of its name as a mere common name",
     lambda authority: authority.issue_cert("other.example.org", common_name=HOST)),
    ("that has expired", lambda authority: authority.issue_cert(HOST, not_after=YESTERDAY)),
    ("of an authority that nobody trusts", lambda _: trustme.CA().issue_cert(HOST)),
]  # fmt: skip


@pytest.mark.parametrize("issue", [row[1] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_certificate_gets_nothing(
    box: Box,
    here: Settings,
    authority: trustme.CA,
    start: Start,
    issue: Callable[[trustme.CA], trustme.LeafCert],
) -> None:
    """No byte of the message leaves before the handshake has proved who is there."""
    receiver = start(issue(authority))
    assert sent_to(box, here, receiver.url(host=HOST)) == "unreachable"
    assert receiver.received == []


def test_the_systems_authorities_are_those_that_count(
    box: Box, here: Settings, authority: trustme.CA, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the operator's own, a certificate of ours is nobody's."""
    monkeypatch.delenv("SSL_CERT_FILE")
    receiver = start(authority.issue_cert(HOST))
    assert sent_to(box, here, receiver.url(host=HOST)) == "unreachable"
    assert receiver.received == []


def test_a_server_without_encryption_is_no_https(
    box: Box, here: Settings, authority: trustme.CA
) -> None:
    """It is not spoken to in the clear instead."""
    with WebhookReceiver() as plain:
        url = plain.url(host=HOST).replace("http://", "https://")
        assert sent_to(box, here, url) == "unreachable"
        assert plain.received == []
