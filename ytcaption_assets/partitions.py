"""The partitions: one a transcription."""

import dagster as dg

transcription_partitions = dg.DynamicPartitionsDefinition(name="transcriptions")
"""Keys are made by `partition_key()` alone."""
