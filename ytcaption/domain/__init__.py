"""The domain in pure Python: errors, requests, events, callers, languages, and the subjects below.

Everything may import it; it imports nothing of the project and no heavy library. It knows no
database, no network and no HTTP.
"""
