"""The Dagster code location (assets, definitions, run server) and the `ytcaption` command."""
