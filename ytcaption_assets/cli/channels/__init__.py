"""`ytcaption channels`: subscribe to channels, list them, import and export lists of them.

The commands work on the database directly. `options` has the options of a channel, `lookup` finds
the channel that an argument names, `tables` prints channels and items. Public: `commands.app`. The
room must not know how channels are listed or items are queued: that is resources/channels.
"""
