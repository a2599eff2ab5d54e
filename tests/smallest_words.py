"""The smallest options of every model, as flags of the command line."""

from __future__ import annotations

from worlds import world

from icectl.testing.subject import SMALLEST

TASKS = ("convlstm", "svg", "deeplab-xception", "inpaint-gan")
"""One model of each task."""
MODELS = (*TASKS, "lstm", "unet", "salstm", "snow-mlp", "ensemble", "front-unet")
_PAIRS = {"crop"}
"""Options of two values; others of several are given again."""


def words(model: str, verb: str) -> list[str]:
    """The smallest options of a model as flags, those that a verb knows."""
    from icectl import registry
    from icectl.cli.verbs import stages_of

    plugin = registry.get(model)
    known = {n for stage in stages_of(verb) for n in plugin.stages[stage].model_fields}
    found = []
    for name, value in {**SMALLEST[plugin.task], "updates": 2}.items():
        flag = f"--{name.replace('_', '-')}"
        if name not in known:
            continue
        if name == "world":
            found += world(model, **value)
        elif name in _PAIRS:
            found += [flag, *map(str, value)]
        else:
            for item in value if isinstance(value, tuple) else (value,):
                found += [flag, str(item)]
    return found
