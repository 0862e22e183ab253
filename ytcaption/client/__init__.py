"""A Python client of the REST API: `from ytcaption.client.client import Client`.

Public: `client.Client`, `models`, `channel_models`, `search_models` (what the server returns),
`options` (what requests take), `errors`. It depends on httpx and on `ytcaption.domain` only, so it
can be used without the server's packages; it must not import anything else of this project.
"""
