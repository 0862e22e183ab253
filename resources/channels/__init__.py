"""Channels: subscriptions to sources of many media, whose new items become transcriptions.

`store.ChannelStore` subscribes, reads and changes; `due` tells which channels are to be listed;
`runs.ChannelRuns` claims, completes and settles listing runs; `poll.ChannelPoll` makes one listing
with a lister of `listing/` and writes it by `intake.ChannelIntake`; `plan` checks what a user wants
of a channel; `dry_run`, `digest` and `retention` serve previews, messages and erasure. This room
makes requests through `resources.transcriptions` and knows nothing of HTTP, Dagster's scheduling,
the lake or search.
"""
