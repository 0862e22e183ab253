"""Dagster's page behind a guard of ours, as `ytcaption up` serves it.

`server` runs Dagster's own app; `guard` is the ASGI middleware in front of it; `page` makes the app
read-only; `sessions` and `sign_in` ask for a key with the scope `admin` once the API has keys.
Reasons: docs/adr/0017-dagster-page.md. It must not know how processes are started.
"""
