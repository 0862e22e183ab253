"""The partitions: one a transcription, one a channel."""

import dagster as dg

transcription_partitions = dg.DynamicPartitionsDefinition(name="transcriptions")
"""Keys are made by `partition_key()` alone."""

channel_partitions = dg.DynamicPartitionsDefinition(name="channels")
"""Keys are made by `channel_id()` alone."""
