"""What our HTTP servers share: limits of connections, and the check of a request's origin.

Public: `BoundedHttp` (uvicorn_protocol.py), uvicorn's protocol with limits of size and time;
`ConnectionLimits` and `ConnectionTable` (connections.py), the limits and the connections of one
server; `foreign_origin` and `is_own_host` (origin.py), by which a server recognises requests of
other sites' pages. The API, Dagster's page and workers use them.

It must not know any of these servers.
"""
