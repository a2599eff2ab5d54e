"""Two-pass front prediction on windows of 224 px against the bare network on the same windows.

Both run the same windows in the same batches; the ratio is what cutting, averaging, filtering and vectorising
leave of the network's own speed. The network is the plugin's for two cores, its weights random; one thread.
"""

from __future__ import annotations

import numpy as np
import torch
from common import Row, compare, finish, sizes

from icectl.tasks.front.line.found import Rules
from icectl.tasks.front.line.lines import draw
from icectl.tasks.front.line.passes import Predictor
from icectl_front_unet.networks import ResidualUNet


class Counting:
    """A network that keeps the stacks it was given; a bright line of the first layer counts as the edge."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network, self.stacks, self.keep = network, list[np.ndarray](), True

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Return probabilities."""
        if self.keep:
            self.stacks.append(windows.copy())
        return answer(self.network, windows)


def answer(network: torch.nn.Module, windows: np.ndarray) -> np.ndarray:
    """Run the network, then put a front that is known into its answer (its weights are random)."""
    with torch.inference_mode():
        result = network(torch.from_numpy(windows)).sigmoid().numpy()
    result[:, 0] = np.clip(windows[:, 0] * 4 - 3, 0, 1)
    return np.asarray(result)


def scene(size: int) -> np.ndarray:
    """Return an image with one bright front."""
    columns = np.arange(size * 0.2, size * 0.8)
    line = np.stack([size / 2 + size / 20 * np.sin(columns / size * 20), columns], axis=1)
    image = np.random.default_rng(0).random((size, size)).astype(np.float32) * 0.3
    image[draw(line, (size, size), 9)] = 1.0
    return image


def measure(size: int) -> Row:
    """Measure one size of the image."""
    torch.manual_seed(0)
    network = ResidualUNet().eval()
    rules = Rules(full_size=256, mask_ratio=1e9, edge_confidence=0.0)
    image, counting = scene(size), Counting(network)
    predictor = Predictor(counting, rules)
    found = predictor(image)  # keeps the windows, and warms up
    counting.keep = False

    def bare() -> None:
        for stack in counting.stacks:
            answer(network, stack)

    windows = sum(len(stack) for stack in counting.stacks)
    note = f"{windows} windows, {len(found.fronts)} front found"
    return compare(
        f"{size}×{size} image, two passes", lambda: predictor(image), bare, against="the network alone",
        kind="loop", floor=0.95, rounds=21, note=note,
    )  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    finish("front_inference", [measure(size) for size in sizes(384, 768, 1536)], ("torch",))
