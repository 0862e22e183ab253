"""The Dagster code location (`definitions`), its assets, the run server and the command line."""
