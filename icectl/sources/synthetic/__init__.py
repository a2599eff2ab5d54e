"""The synthetic glacier: one small physical world, seen in four ways, with exact truth.

A `World` is a landscape with its ice, computed from a seed. Four writers take views of it and leave what
a real source leaves: Landsat-like scenes, calving fronts, moving ice, an elevation model with outlines.
Each also leaves a folder ``truth``, which models never read; only tests and evaluations do.
"""

from icectl.sources.synthetic.dem import write_dem
from icectl.sources.synthetic.flow import write_flow_scenes
from icectl.sources.synthetic.front import write_front_scenes
from icectl.sources.synthetic.snow import write_snow_scenes
from icectl.sources.synthetic.world import World

__all__ = ["World", "write_dem", "write_flow_scenes", "write_front_scenes", "write_snow_scenes"]
