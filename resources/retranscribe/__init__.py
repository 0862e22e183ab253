"""Retranscribe."""
