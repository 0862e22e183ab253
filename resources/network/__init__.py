"""Connections to untrusted hosts, of which every address is checked.

`egress_proxy.EgressProxy` is the one exit of yt-dlp's processes (`http_head` reads its heads,
`upstream` connects through an operator's proxy, `proxy_health` stores how these proxies do).
`guarded_client` makes HTTP clients for this process. `http_errors` maps statuses to errors. This
room must not know what is fetched.
"""
