"""Handles to the outside world."""
