"""What every part speaks of: the domain, the settings, the client for Python."""
