"""Sites that media come from: which one a URL belongs to, and whether it may be asked now.

`resolve.resolve_source` turns a URL into a media source, `domains.site_of` names its site,
`circuit_breaker` stops downloads from sites that fail, `pacing` keeps bulk work within the limits
of each site, and `wait_reasons` explains both to people. This room must not know how media are
downloaded.
"""
