"""Fabric: device, precision and process group of this process, set up once."""

import logging
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import nn

from icectl.run import Run
from icectl.training import devices

GROUP_TIMEOUT = 90.0
"""Seconds after which a process that waits for a hanging one gives up (``ICECTL_GROUP_TIMEOUT``)."""

_current: Fabric | None = None


class _NoWrapping(DDPStrategy):
    """Fabric's process group without DistributedDataParallel (see `icectl.training.learner`)."""

    def setup_module(self, module: nn.Module) -> Any:
        return module


def current(run: Run) -> Fabric:
    """Return the Fabric of this process: the one `launch` made, or a new one of one process."""
    return _current if _current is not None else build(devices.resolve(run.compute), several=False)


@contextmanager
def using(fabric: Fabric) -> Iterator[Fabric]:
    """Make `fabric` the one of this process."""
    global _current
    before, _current = _current, fabric
    try:
        yield fabric
    finally:
        _current = before


def build(decision: devices.Decision, several: bool) -> Fabric:
    """Return a Fabric; with `several`, one that has joined the group of processes.

    The processes already exist (``elastic_launch``, ``torchrun`` or SLURM started them), so
    ``launch()`` starts none.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its rank-by-rank account of joining
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    if not several:
        accelerator = {"cuda": "cuda", "mps": "mps"}.get(decision.device, "cpu")
        return Fabric(accelerator=accelerator, devices=1, precision=decision.precision)  # type: ignore[arg-type]
    slurm = "TORCHELASTIC_RUN_ID" not in os.environ
    local, nodes = _shape(slurm)
    seconds = float(os.environ.get("ICECTL_GROUP_TIMEOUT", GROUP_TIMEOUT))
    fabric = Fabric(
        accelerator="cuda" if decision.device == "cuda" else "cpu",
        devices=local,
        num_nodes=nodes,
        precision=decision.precision,  # type: ignore[arg-type]
        strategy=_NoWrapping(timeout=timedelta(seconds=seconds)),
        plugins=[SLURMEnvironment() if slurm else TorchElasticEnvironment()],
    )
    fabric.launch()
    return fabric


def _shape(slurm: bool) -> tuple[int, int]:
    if slurm:
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
        return int(os.environ["SLURM_NTASKS"]) // nodes, nodes
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    return local, int(os.environ["WORLD_SIZE"]) // local


def seed_everything(seed: int) -> None:
    """Seed torch, numpy and Python alike, so that every process builds the same network."""
    import numpy as np

    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
