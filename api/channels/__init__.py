"""Channels over HTTP: subscribe to what a source publishes, list its items, change, pause, leave.

`service.ChannelService` applies a caller's rights to `resources.channels`; `schemas` are the
bodies clients send, `view` those they receive. Uses `api.transcriptions` for options, links and
pages; no other feature uses this room.
"""
