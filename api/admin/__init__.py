"""Administration over HTTP: overview, retry, pause and resume, circuit breakers, purge.

Routes and schemas only; every route needs the scope `admin`. The work is done by
`resources.admin`, `resources.maintenance`, `resources.orchestration` and `resources.sites`.
"""
