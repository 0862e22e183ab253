"""Recognises requests that a page of another site makes a browser send (CSRF, DNS rebinding).

A browser lets any page send requests to this machine. It says which page it was: in `Origin`, and
in `Sec-Fetch-Site`, which no script can set. Programs send neither and are not affected.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from ytcaption.domain.media.addresses import is_loopback

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1)."""

_OWN_SITES = frozenset({"same-origin", "none"})


def foreign_origin(headers: Headers, trusted: Collection[str] = ()) -> str | None:
    """Return the other origin whose page sent a request; None if none did.

    The rules are those of Go's `net/http.CrossOriginProtection`: the browser's own verdict in
    `Sec-Fetch-Site` counts where there is one, because a proxy may have changed `Host`; else
    `Origin` must name the host that the request was sent to. `same-site` is another origin, too:
    another port of this machine.

    Args:
        trusted: origins whose pages may send requests, such as `https://captions.example.org`.
    """
    origins = headers.getlist("origin")
    if len(origins) == 1 and origins[0] in trusted:
        return None
    named = ", ".join(origins) or "another site"
    sites = headers.getlist("sec-fetch-site")
    if sites:
        return None if _OWN_SITES.issuperset(sites) else named
    if not origins:
        return None
    return None if len(origins) == 1 and names_host(origins[0], headers) else named


def names_host(origin: str, headers: Headers) -> bool:
    """Return whether an origin is the host and port that a request was sent to."""
    return bool(host := headers.get("host")) and host_of(origin) == host.lower()


def is_own_host(headers: Headers, own: Collection[str] = ()) -> bool:
    """Return whether a request names a host of ours: loopback with any port, or one of `own`.

    A page whose name was pointed at this machine (DNS rebinding) sends its own name.

    Args:
        own: hosts, each with its port if it is not the scheme's, in lower case.
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1:
        return False
    host = hosts[0].lower()
    name, _, port = host.rpartition(":")
    return host in own or is_loopback(name if port.isdigit() else host)


def origin_of(url: str) -> str:
    """Return the origin of a URL as browsers write it: `https://captions.example.org`."""
    return f"{urlsplit(url).scheme.lower()}://{host_of(url)}"


def host_of(url: str) -> str:
    """Return host and port of an http or https URL in lower case; empty for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    return name if port in (None, default) else f"{name}:{port}"
