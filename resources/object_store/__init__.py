"""Object store."""
