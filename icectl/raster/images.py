"""Pictures for pages: PNG files in memory."""

from __future__ import annotations

import io

from PIL import Image

from icectl.arrays import U8


def png(values: U8, palette: U8 | None = None) -> bytes:
    """Return a PNG of grey levels, or of the colours of a palette whose number 0 is transparent.

    `values`: ``(rows, columns)``; `palette`: ``(n, 3)`` colours of the numbers from 1 on.
    """
    picture, more = Image.fromarray(values), {}
    if palette is not None:
        picture.putpalette([0, 0, 0, *palette.ravel().tolist()])
        more = {"transparency": 0}
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=False, compress_level=9, **more)
    return buffer.getvalue()
