"""A Python client of the REST API: `from ytcaption_assets.client.client import Client`."""
