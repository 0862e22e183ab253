"""JSON from a URL, through the door that checks every address (rules 1 to 3)."""

import json
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from resources.egress_proxy import EgressProxy
from ytcaption_assets.domain.errors import SourceUnavailable


def fetch_json(
    url: str,
    *,
    allowed_networks: Sequence[str] = (),
    max_bytes: int = 256 * 1024,
    timeout_s: float = 5.0,
) -> Any:
    """The document behind an http(s) URL. No redirect is followed, nothing of the environment used.

    Args:
        allowed_networks: private CIDRs that may be reached; all others are refused.
        max_bytes: of the body.
        timeout_s: of each step; twice that is all that the body may take.

    Raises:
        SourceUnavailable: not reached, refused, another status than 200, too long, or no JSON.
            Names the host, nothing else of the URL.
    """
    host = urlsplit(url).hostname or "?"
    ends_at = time.monotonic() + 2 * timeout_s
    # Handshake and headers come through it, too.
    proxy = EgressProxy(
        allowed_networks=allowed_networks,
        max_bytes=max_bytes + 256 * 1024,
        connect_timeout_s=timeout_s,
        idle_timeout_s=timeout_s,
    )
    try:
        with (
            proxy,
            httpx.Client(  # noqa: TID251 - this is the guarded one
                proxy=proxy.url, trust_env=False, follow_redirects=False, timeout=timeout_s
            ) as client,
            client.stream("GET", url, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}")
            body = bytearray()
            for block in answer.iter_bytes():
                body += block
                if len(body) > max_bytes:
                    raise ValueError(f"over {max_bytes} bytes")
                if time.monotonic() > ends_at:
                    raise ValueError("too slow")
        return json.loads(body)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # The proxy's own refusals look like answers. A parser's message would quote the body.
        causes = [*proxy.traffic.refused, *proxy.traffic.unreachable]
        if proxy.traffic.too_many_bytes:
            causes.append(f"over {max_bytes} bytes")
        causes.append(str(error) if type(error) is ValueError else type(error).__name__)
        raise SourceUnavailable(f"{host} did not give a JSON document: {causes[0]}.") from None
