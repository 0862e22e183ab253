"""When things are made."""
