"""Webhooks: events that are delivered to the owners' own servers.

`store.Webhooks` manages them, `outbox.Outbox` holds the deliveries that a trigger on the table of
events adds, `notifier.Notifier` sends them (`message` signs, `sender` sends), and
`deliveries.Deliveries` is their log. This room must not know the API.
"""
