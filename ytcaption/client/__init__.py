"""A Python client of the REST API: `from ytcaption.client.client import Client`."""
