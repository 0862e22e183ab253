"""Search over HTTP: `GET /api/v1/search`.

`parameters` are the query, `schemas` the response, `view` builds it from what
`resources.search.service.Search` returns. No other feature uses this room.
"""
