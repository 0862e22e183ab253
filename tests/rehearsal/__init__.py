"""A rehearsal of a release: install, upgrade, restore and go back, with all content compared.

`run` is `make rehearse`; `content` reads what an installation holds and compares it, `place` is
where it lives: a home alone, or a home with a Postgres and an S3 elsewhere.
"""
