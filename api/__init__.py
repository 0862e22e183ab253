"""The REST API: a FastAPI app over the rooms of `resources`, one package a feature.

`api.app.create_app` builds it; uvicorn runs it. Each feature has its routes, its schemas and what
builds its responses together; `api.http` holds what every feature shares. The API reads the
domain, the settings and `resources`; it never imports the assets, the sensors or the command line.
"""
