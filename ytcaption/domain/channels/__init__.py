"""Channels in pure Python: a subscribed source, its filters and schedule, and lists of
subscriptions.

`channel` has the source and its listed items, `filters` decides on each item, `schedule` says when
a channel is polled, `subscription_lists` and `subscription_export` read and write other programs'
lists. Nothing here reads a feed or a row.
"""
