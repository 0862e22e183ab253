"""Run server."""
