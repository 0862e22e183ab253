"""Two modules open connections to the network (rule 1): lint refuses others."""

import subprocess
import sys

import pytest

CLIENTS = [
    "import requests\n\nrequests.get('https://example.org/')",
    "import urllib.request\n\nurllib.request.urlopen('https://example.org/')",
    "from urllib.request import urlopen\n\nurlopen('https://example.org/')",
    "import httpx\n\nhttpx.get('https://example.org/')",
    "import httpx\n\nhttpx.Client().get('https://example.org/')",
    "from httpx import AsyncClient\n\nAsyncClient()",
    "import httpx as h\n\nh.stream('GET', 'https://example.org/')",
    "import http.client\n\nhttp.client.HTTPSConnection('example.org')",
    "import aiohttp\n\naiohttp.ClientSession()",
    "import urllib3\n\nurllib3.PoolManager()",
]


@pytest.mark.parametrize(
    "package", ["api", "resources", "sensors", "ytcaption", "ytcaption_assets"]
)
@pytest.mark.parametrize("code", CLIENTS)
def test_no_package_opens_other_connections(code: str, package: str) -> None:
    """Lint refuses every HTTP library."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--stdin-filename", f"{package}/new.py", "-"],
        input=f'"""A module."""\n\n{code}\n',
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TID251" in done.stdout, done.stdout
