"""Webhooks over HTTP: create, list, change, delete, secrets, deliveries, dead letters.

Also documents what receivers implement (the `webhooks` of the OpenAPI document). The work is done
by `resources.webhooks`; no other feature uses this room.
"""
