"""Media in pure Python: sources and ids, URLs and addresses, egress routes and pacing, file names.

`media` has the source and its stored audio, `urls` and `media_url` the spellings of a URL,
`addresses` what is public, `egress` and `pacing` how downloads leave this machine and how often.
Nothing here opens a connection or a file.
"""
