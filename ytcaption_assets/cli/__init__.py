"""The `ytcaption` command."""
