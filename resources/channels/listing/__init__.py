"""Listing: reads what a channel, playlist or feed offers, through the egress proxy.

`lister.ChannelLister` returns pages of items; `source.channel_source` turns a submitted URL into a
source without network access. Feeds are fetched by `feed_fetch` and followed by `feed_reader`; all
parsing of untrusted lists happens in a bound process (`child`, `feed_items`, `ytdlp_lists`). This
room knows nothing of subscriptions, rows or the database.
"""
