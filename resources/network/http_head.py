"""Heads of HTTP/1.1 messages as the egress proxy reads and writes them: strictly, or not at all.

h11 parses them. Three checks come before, because h11 tolerates what two parsers could read in two
ways: lines that end with a bare LF, header values that go on in the next line, control characters.
"""

import re
from base64 import b64encode
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import urlsplit

import h11

MAX_HEAD_BYTES = 64 * 1024
MAX_REQUEST_BODY_BYTES = 16 * 1024**2

Headers = tuple[tuple[bytes, bytes], ...]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# About one connection, not the message (RFC 9110 7.6.1); Expect would need an answer of the proxy.
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"expect", b"host"}
    | {b"proxy-authorization", b"proxy-authenticate", b"proxy-connection"}
)
_LINE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n")
_FRAMING = re.compile(rb"(?<=\n)(content-length|transfer-encoding):([^\r\n]*)\r\n", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")


class BadHead(Exception):
    """A head that the proxy does not pass on.

    Attributes:
        status: HTTP status of the proxy's answer.
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
        headers: for the server.
        body_bytes: length of the body that follows.
    """

    method: str
    host: str
    port: int
    target: str
    headers: Headers
    body_bytes: int

    @property
    def is_tunnel(self) -> bool:
        """Whether the method is CONNECT."""
        return self.method == "CONNECT"

    def to_server(self) -> bytes:
        """Return the head for the server: the URL's host, one request on this connection."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        authority = host if self.port == 80 else f"{host}:{self.port}"
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {authority}", "Connection: close"]
        return _encoded([line.encode() for line in lines], self.headers)


@dataclass(frozen=True)
class ResponseHead:
    """A server's response."""

    status: int
    line: bytes
    headers: Headers

    def to_client(self) -> bytes:
        """Return the head for the client, which must connect again for another request."""
        return _encoded([self.line, b"Connection: close"], self.headers)


def parse_request(head: bytes, *, authorization: str) -> RequestHead:
    """Parse the head of a request.

    Args:
        head: everything up to and including the empty line.
        authorization: value of Proxy-Authorization that the client must send.

    Raises:
        BadHead: the head is ambiguous, not allowed, or has another authorization.
    """
    _check_lines(head)
    lengths = _values(head, b"content-length")
    if not _values(head, b"host"):
        # h11 requires one of HTTP/1.1. A proxy takes the host from the URL and drops the header.
        line, end, rest = head.partition(b"\r\n")
        head = b"%b%bHost:\r\n%b" % (line, end, rest)
    request = _parsed(h11.Connection(h11.SERVER), head)
    if not isinstance(request, h11.Request) or request.http_version not in (b"1.0", b"1.1"):
        raise BadHead(400, "not an HTTP/1.1 request")
    given = [value for name, value in request.headers if name == b"proxy-authorization"]
    if len(given) != 1 or not compare_digest(given[0], authorization.encode()):
        raise BadHead(407, "this proxy is for one download only")
    method, url = request.method.decode(), request.target.decode()
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
    body_bytes = _body_bytes(request, lengths)
    return RequestHead(method, host, port, target, _end_to_end(request), body_bytes)


def parse_response(head: bytes) -> ResponseHead:
    """Parse the head of a response.

    Raises:
        BadHead: it is not HTTP/1.x, or switches protocols.
    """
    _check_lines(head)
    status_line = _STATUS_LINE.match(head)
    if status_line is None:
        raise BadHead(502, "the server does not speak HTTP")
    if status_line[1] == b"101":
        raise BadHead(502, "the server switches protocols")
    connection = h11.Connection(h11.CLIENT)
    # h11 accepts a response only after a request; which one does not matter to the head.
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "")]))
    # The client judges how the body is framed, and the connection ends with it. h11 would refuse
    # servers that send `Transfer-Encoding: identity` or an empty Content-Length.
    response = _parsed(connection, _FRAMING.sub(b"", head))
    if not isinstance(response, h11.Response | h11.InformationalResponse):
        raise BadHead(502, "the server does not speak HTTP")
    line = status_line[0].removesuffix(b"\r\n")
    framing = tuple((name, value.strip(b" \t")) for name, value in _FRAMING.findall(head))
    return ResponseHead(response.status_code, line, _end_to_end(response) + framing)


def basic_authorization(user: str, password: str) -> str:
    """Return the value of a Proxy-Authorization header (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _check_lines(head: bytes) -> None:
    """Refuse what h11 would tolerate."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if not all(map(_LINE.fullmatch, lines)):
        raise BadHead(400, "control characters, or a bare CR or LF")
    if any(line.startswith((b" ", b"\t")) for line in lines):
        raise BadHead(400, "a header that goes on in the next line")


def _parsed(connection: h11.Connection, head: bytes) -> object:
    """Return h11's event of a head."""
    connection.receive_data(head)
    try:
        return connection.next_event()
    except h11.RemoteProtocolError:
        raise BadHead(400, "malformed HTTP") from None


def _values(head: bytes, name: bytes) -> list[bytes]:
    """Return the values of a header as they were sent: h11 merges equal lengths into one."""
    return re.findall(rb"\r\n" + name + rb"[ \t]*:([^\r\n]*)", head, re.IGNORECASE)


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


def _end_to_end(message: h11.Request | h11.InformationalResponse | h11.Response) -> Headers:
    """Return the headers that are not about one connection, spelled as they were sent."""
    named = {
        option.strip().lower()
        for name, value in message.headers
        if name == b"connection"
        for option in value.split(b",")
    } - {b"content-length", b"transfer-encoding"}
    dropped = _HOP_BY_HOP | named
    headers = message.headers.raw_items()
    return tuple((name, value) for name, value in headers if name.lower() not in dropped)


def _body_bytes(request: h11.Request, lengths: list[bytes]) -> int:
    if any(name == b"transfer-encoding" for name, _ in request.headers):
        raise BadHead(411, "a body needs Content-Length")
    if len(lengths) > 1 or any(not value.strip(b" \t").isdigit() for value in lengths):
        raise BadHead(400, "malformed Content-Length")
    length = int(lengths[0]) if lengths else 0
    if length > MAX_REQUEST_BODY_BYTES:
        raise BadHead(413, "body too large")
    return length


def _encoded(lines: list[bytes], headers: Headers) -> bytes:
    lines = [*lines, *(b"%b: %b" % header for header in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"
