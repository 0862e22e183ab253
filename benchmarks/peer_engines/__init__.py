"""Speech recognition engines, one per file; each loads the same weights for the same samples."""
