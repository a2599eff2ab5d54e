"""Two-pass inference on windows of 224 px against the bare network on the same windows.

    OMP_NUM_THREADS=1 python benchmarks/front_inference.py [--network compact] [--repeats 5]

Both run the same windows in the same batches; the ratio is what cutting, averaging, filtering and
vectorising leave of the network's own speed. The two are timed in turns, in CPU time, and the best
of each is compared.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch

from icectl.tasks.front.lines import draw
from icectl.tasks.front.options import PredictOptions
from icectl.tasks.front.passes import Predictor
from icectl_deeplab_xception.network import NAMES, build


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


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", choices=NAMES, default="compact")
    parser.add_argument("--size", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    network = build(options.network).eval()
    settings = PredictOptions(mask_ratio=1e9, edge_confidence=0.0)
    image, whole, bare = scene(options.size), [], []
    counting = Counting(network)
    predictor = Predictor(counting, ("raw", "contrast", "shadows"), settings, "two")
    predictor(image)  # keeps the windows, and warms up
    counting.keep = False
    for _ in range(options.repeats):
        start = time.process_time()
        found = predictor(image)
        whole.append(time.process_time() - start)
        start = time.process_time()
        for stack in counting.stacks:
            answer(network, stack)
        bare.append(time.process_time() - start)
    windows = sum(len(stack) for stack in counting.stacks)
    ratio = min(bare) / min(whole)
    print(f"{options.network}: {windows} windows of 224 px in two passes, {len(found.fronts)} front found")
    print(f"two passes {windows / min(whole):.1f} windows/s of CPU time")
    print(f"bare       {windows / min(bare):.1f} windows/s of CPU time, ratio {ratio:.3f}")
    if "--check" in sys.argv:
        sys.exit(ratio < 0.95)


if __name__ == "__main__":
    main()
