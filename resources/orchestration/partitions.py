"""Partitions: one per transcription, one per channel."""

import dagster as dg

transcription_partitions = dg.DynamicPartitionsDefinition(name="transcriptions")
"""Keys come from `partition_key()` only."""

channel_partitions = dg.DynamicPartitionsDefinition(name="channels")
"""Keys come from `channel_id()` only."""
