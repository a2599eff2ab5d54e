"""The first-order region of the Randolph Glacier Inventory that a place lies in."""

BOXES = (
    ("18", 165, -48, 180, -34), ("17", -80, -56, -60, -25.5), ("19", -180, -90, 180, -45),
    ("16", -180, -25.5, 180, 25.5), ("11", -10, 38, 20, 50), ("12", 25, 30, 60, 45), ("06", -26, 62, -12, 68),
    ("08", 4, 58, 35, 72), ("07", -10, 70, 35, 82), ("09", 35, 70, 120, 84), ("15", 79, 25.5, 88.5, 31),
    ("15", 88.5, 25.5, 97, 28.6), ("15", 97, 25.5, 105, 33), ("14", 65, 28, 79.5, 36.9),
    ("13", 64, 26, 105, 46), ("10", 58, 40, 180, 78), ("10", -180, 60, -169, 72), ("05", -60, 59, -10, 84),
    ("05", -73, 75.3, -60, 79.2), ("03", -128, 74, -60, 84), ("04", -100, 57, -60, 74),
    ("01", -180, 50, -133, 72), ("01", -133, 55.5, -128, 60), ("02", -140, 35, -100, 66),
)  # fmt: skip
"""Region and a box of degrees (west, south, east, north); the first that holds a place counts.

After the regions of RGI 6 (RGI Consortium 2017, doi:10.7265/N5-RGI-60), whose borders are less straight: near
one, in High Mountain Asia and the Coast Mountains above all, the neighbour may be named.
"""

NAMES = {
    "01": "Alaska", "02": "Western Canada and USA", "03": "Arctic Canada North", "04": "Arctic Canada South",
    "05": "Greenland", "06": "Iceland", "07": "Svalbard and Jan Mayen", "08": "Scandinavia",
    "09": "Russian Arctic", "10": "North Asia", "11": "Central Europe", "12": "Caucasus and Middle East",
    "13": "Central Asia",
    "14": "South Asia West", "15": "South Asia East", "16": "Low Latitudes", "17": "Southern Andes",
    "18": "New Zealand", "19": "Antarctic and Subantarctic",
}  # fmt: skip
"""What the inventory calls its regions."""


def region_at(lon: float, lat: float) -> str:
    """Return the two digits of the region of a place in degrees, or nothing where there are no glaciers.

    >>> region_at(6.9, 45.8), region_at(-139.1, 60.8), region_at(-73.4, -46.6), region_at(-77.5, -9.0)
    ('11', '01', '17', '16')
    """
    for region, west, south, east, north in BOXES:
        if west <= lon <= east and south <= lat <= north:
            return region
    return ""
