"""Public hosts on loopback over TLS, for yt-dlp's own extractors and for feeds."""

import asyncio
import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from resources.network import egress_proxy


def certificate_of(hosts: Sequence[str], folder: Path) -> Path:
    """A certificate of these hosts and those below them that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(each) for host in hosts for each in (host, f"*.{host}")]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "site.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def tls_of(certificate: Path) -> ssl.SSLContext:
    """What a server presents."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def lead_to_loopback(
    monkeypatch: pytest.MonkeyPatch, hosts: Sequence[str], port: int, certificate: Path
) -> None:
    """The egress proxy's resolver and port 443 lead to a server here; other hosts are private."""
    connect = asyncio.open_connection

    async def resolve(host: str, _: int) -> list[str]:
        here = any(host == known or host.endswith(f".{known}") for known in hosts)
        return ["127.0.0.1"] if here else ["10.0.0.1"]

    async def open_connection(host: str, wanted_port: int, **options: Any) -> Any:
        return await connect(host, port if wanted_port == 443 else wanted_port, **options)

    monkeypatch.setattr(egress_proxy, "resolve", resolve)
    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
