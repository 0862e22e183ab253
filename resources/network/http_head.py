"""Heads of HTTP/1.1 messages as the egress proxy reads and writes them: strictly, or not at all."""

import re
from base64 import b64encode
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import urlsplit

MAX_HEAD_BYTES = 64 * 1024
MAX_REQUEST_BODY_BYTES = 16 * 1024**2

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# About one connection, not the message (RFC 9110 7.6.1); Expect would need an answer of ours.
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailer", "upgrade", "expect", "host"}
    | {"proxy-authorization", "proxy-authenticate", "proxy-connection"}
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_STATUS_LINE = re.compile(r"HTTP/1\.[01] ([1-5][0-9]{2})( [\t\x20-\x7e\x80-\xff]*)?")


class BadHead(Exception):
    """A head that the proxy does not pass on.

    Attributes:
        status: HTTP status of the answer.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class RequestHead:
    """A request to a proxy: `CONNECT host:port`, or a method with an absolute `http://` URL.

    Attributes:
        host: name or address, an IPv6 one without brackets.
        target: path and query; empty for CONNECT.
        body_bytes: length of the body that follows.
    """

    method: str
    host: str
    port: int
    target: str
    headers: tuple[tuple[str, str], ...]
    body_bytes: int

    @property
    def is_tunnel(self) -> bool:
        """Whether it is CONNECT."""
        return self.method == "CONNECT"

    def to_server(self) -> bytes:
        """The head for the server: one request on this connection, and the host is the URL's."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        authority = host if self.port == 80 else f"{host}:{self.port}"
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {authority}", "Connection: close"]
        return _encoded(lines, self.headers)


def parse_request(head: bytes, *, authorization: str) -> RequestHead:
    """The request of a head.

    Args:
        head: everything up to and with the empty line.
        authorization: the Proxy-Authorization that is asked for.

    Raises:
        BadHead: anything that two parsers could read in two ways, and a wrong authorization.
    """
    first, headers = _parse(head)
    parts = first.split(" ")
    if (
        len(parts) != 3
        or parts[2] not in ("HTTP/1.1", "HTTP/1.0")
        or not _TARGET.fullmatch(parts[1])
    ):
        raise BadHead(400, "not an HTTP/1.1 request line")
    method, url, _ = parts
    given = [value for name, value in headers if name.lower() == "proxy-authorization"]
    if len(given) != 1 or not compare_digest(given[0].encode("latin-1"), authorization.encode()):
        raise BadHead(407, "this proxy is for one download only")
    if method == "CONNECT":
        host, port = _authority(url, default_port=None)
        return RequestHead(method, host, port, "", (), 0)
    if method not in _METHODS:
        raise BadHead(405, "method not allowed")
    try:
        split = urlsplit(url)
    except ValueError:
        raise BadHead(400, "not a URL") from None
    if split.scheme.lower() != "http" or not split.netloc:
        raise BadHead(400, "only absolute http URLs and CONNECT")
    host, port = _authority(split.netloc, default_port=80)
    target = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return RequestHead(method, host, port, target, _passed_on(headers), _body_bytes(headers))


@dataclass(frozen=True)
class ResponseHead:
    """A server's answer."""

    status: int
    line: str
    headers: tuple[tuple[str, str], ...]

    def to_client(self) -> bytes:
        """The head for the client, who must open another connection for another request."""
        return _encoded([self.line, "Connection: close"], self.headers)


def parse_response(head: bytes) -> ResponseHead:
    """The answer of a head.

    Raises:
        BadHead: not HTTP/1.x, or a switch of protocols.
    """
    line, headers = _parse(head)
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadHead(502, "the server does not speak HTTP")
    status = int(match[1])
    if status == 101:
        raise BadHead(502, "the server switches protocols")
    return ResponseHead(status, line, _passed_on(headers))


def basic_authorization(user: str, password: str) -> str:
    """Value of a Proxy-Authorization header (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _parse(head: bytes) -> tuple[str, list[tuple[str, str]]]:
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    if "\r" in "".join(lines) or "\n" in "".join(lines):
        raise BadHead(400, "bare CR or LF")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadHead(400, "malformed header")
        headers.append((name, value.strip(" \t")))
    return lines[0], headers


def _authority(text: str, default_port: int | None) -> tuple[str, int]:
    host, port = text, ""
    if not _HOST.fullmatch(text):
        host, _, port = text.rpartition(":")
    if not _HOST.fullmatch(host) or not ((port.isascii() and port.isdigit()) or not port):
        raise BadHead(400, "malformed host")
    number = int(port) if port else default_port
    if number is None or not 0 < number < 65536:
        raise BadHead(400, "malformed port")
    return host.strip("[]"), number


def _passed_on(headers: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    named = {
        name.strip().lower()
        for header, value in headers
        if header.lower() == "connection"
        for name in value.split(",")
    } - {"content-length", "transfer-encoding"}
    dropped = _HOP_BY_HOP | named
    return tuple((name, value) for name, value in headers if name.lower() not in dropped)


def _body_bytes(headers: list[tuple[str, str]]) -> int:
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        raise BadHead(411, "a body needs Content-Length")
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    if len(lengths) > 1 or any(not (text.isascii() and text.isdigit()) for text in lengths):
        raise BadHead(400, "malformed Content-Length")
    length = int(lengths[0]) if lengths else 0
    if length > MAX_REQUEST_BODY_BYTES:
        raise BadHead(413, "body too large")
    return length


def _encoded(lines: list[str], headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [*lines, *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
