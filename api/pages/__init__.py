"""The web pages: `/` and `/channels` for people, `/docs` for the API.

`routes.install` serves the files of `api/static`. The pages use the public API only.
"""
