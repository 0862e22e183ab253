"""Bytes from the source to this machine: audio, captions and uploads.

`downloader.Downloader` runs yt-dlp in a process of its own (`ytdlp_process` starts it,
`download_child` is its program, `protocol` holds the messages between both). `egress` decides how
it leaves this machine, `cookies` which cookies it gets. `workspace` holds partial downloads,
`uploads` receives files. This room must not know transcriptions or the queue.
"""
