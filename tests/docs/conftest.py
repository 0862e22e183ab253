"""Fixtures of the API's tests, for the examples of the documentation."""

from tests.api.conftest import (  # noqa: F401 - fixtures
    client,
    database_switch,
    server_url,
    start,
    world,
)
from tests.ytcaption.client.conftest import *  # noqa: F403 - fixtures
