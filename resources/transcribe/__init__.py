"""Transcribe."""
