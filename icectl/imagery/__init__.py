"""Arrays to arrays, no files: quality layers, masks, NDSI, gaps, composites, alignment, matching.

Everywhere in this room an image is ``(rows, columns)`` float32 and a missing pixel is NaN;
`missing_to_nan` turns a masked array into that form. Import the module you need:

    from icectl.imagery import missing, qa, indices, gaps, composite, align
"""
