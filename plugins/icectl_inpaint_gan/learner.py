"""What is minimised: the error of heights of both stages, and the verdict of a discriminator."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from icectl.tasks.bed.model import BedModel, Ports
from icectl.tasks.bed.train import Batch, FillLearner
from icectl.training import Context, Learner
from icectl_inpaint_gan.networks import Discriminator, Generator


class GanLearner(FillLearner):
    """Step (a): heights by reconstruction, and an adversary.

    The reconstruction error is over hidden ground of both stages; the paper's code takes it over the whole
    image, where known pixels are copied and add nothing but a constant.
    """

    network: Generator

    def __init__(self, network: Generator, options: Any, facts: Mapping[str, Any]) -> None:
        super().__init__(network, options, {**facts, "kept": "generator"})
        halvings = max(3, min(6, int(np.log2(options.net_size)) - 2))  # 6 for patches of 256
        self.critic = Discriminator(2, options.critic_width, halvings)
        self.modules = nn.ModuleDict({"generator": network, "discriminator": self.critic})

    def configure(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return Adam (β 0.5, 0.999; the paper's code), or AdamW for what is added to a fill."""
        both = {"generator": self.network, "discriminator": self.critic}
        rate = self.options.lr
        if self.options.begin == "flat":
            return {n: torch.optim.Adam(part.parameters(), rate, (0.5, 0.999)) for n, part in both.items()}
        critic = torch.optim.AdamW(self.critic.parameters(), rate, (0.9, 0.99), eps=1e-5, weight_decay=5e-2)
        return {**super().configure(), "discriminator": critic}

    def update(self, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """Let the discriminator learn, then the generator."""
        x, y, valid = batch["x"], batch["y"], batch["valid"]
        first, second = self.network.both(x)
        judged = self._judge(y, second.detach(), x[:, -1:], context)
        context.backward(judged)
        context.step("discriminator")
        error = context.mean(self.error(second, y, x, valid), valid)
        error = error + context.mean(self.error(first, y, x, valid), valid)
        self.critic.requires_grad_(False)  # only the generator learns from its own mistakes
        fake = self.critic(torch.cat([second, x[:, -1:]], 1))
        self.critic.requires_grad_(True)
        loss = error + self.options.gan_weight * context.mean(adversary(fake, self.options.gan_loss))
        context.backward(loss)
        context.step("generator")
        return {"discriminator": judged.detach(), "reconstruction": error.detach(), "inpaint": loss.detach()}

    def _judge(self, real: Tensor, fake: Tensor, mask: Tensor, context: Context) -> Tensor:
        """Return the discriminator's loss: hinge, or minus V(D, G)."""
        both = self.critic(torch.cat([torch.cat([real, mask], 1), torch.cat([fake, mask], 1)]))
        yes, no = both.chunk(2)
        if self.options.gan_loss == "hinge":
            return context.mean(F.relu(1 - yes)) + context.mean(F.relu(1 + no))
        return context.mean(F.softplus(-yes)) + context.mean(F.softplus(no))


def adversary(fake: Tensor, loss: str) -> Tensor:
    """Return what the generator minimises of the discriminator's verdict, a score a patch.

    ``"minimax"`` is its part of V(D, G) of the slides, ``log(1 − D(G(z)))`` with D the logistic function of
    the score; ``"hinge"`` is minus the score.
    """
    return -fake if loss == "hinge" else -F.softplus(fake)


class InpaintGAN(BedModel):
    """Maffezzoli 2023: gated inpainting of the ground."""

    def network(self, ports: Ports, options: Any) -> nn.Module:
        """Build the generator."""
        return Generator(ports.channels, options.width, residual=ports.residual, size=ports.size)

    def learner(self, network: nn.Module, options: Any, facts: Mapping[str, Any]) -> Learner:
        """Return what trains the generator against a discriminator."""
        assert isinstance(network, Generator)
        return GanLearner(network, options, facts)
