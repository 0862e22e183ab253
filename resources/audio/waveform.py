"""Draws the waveform as a small picture."""

import io
import itertools

import numpy as np

from resources.audio.samples import release_pages


def waveform_png(samples: np.ndarray, width: int = 600, height: int = 80) -> bytes:
    """Return a PNG: each column of pixels spans the lowest to the highest sample of its interval.

    Args:
        samples: float32, shape (n_samples,), in [-1, 1]; may be empty.
        width, height: in pixels.
    """
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    middle = (height - 1) / 2
    edges = np.linspace(0, len(samples), width + 1).astype(int)
    for x, (start, end) in enumerate(itertools.pairwise(edges)):
        column = samples[start:end]
        high, low = (float(column.max()), float(column.min())) if len(column) else (0.0, 0.0)
        release_pages(column)
        draw.line((x, middle - high * middle, x, middle - low * middle), fill=(70, 90, 160))
    buffer = io.BytesIO()
    picture.quantize(8).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
