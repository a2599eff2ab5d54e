"""A descriptor that imports numpy."""

import numpy  # noqa: F401, the fault
from wobbly import plugin  # noqa: F401
