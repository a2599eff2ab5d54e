"""The networks of inpaint-gan: published sizes, attention, spectral norm, losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icectl_inpaint_gan.gated import GatedConv, contextual_attention
from icectl_inpaint_gan.learner import adversary
from icectl_inpaint_gan.networks import Discriminator, Generator


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_published_sizes() -> None:
    assert count(Generator(inputs=4, width=48)) == 4_046_042
    assert count(Discriminator(inputs=2, width=64)) == 5_943_616


def test_paper_generator_fills_hidden_pixels_only() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 64, 64).clamp(-1, 1)
    x[:, 3] = 0
    x[:, 3, 20:44, 20:44] = 1
    first, second = Generator().eval().both(x)
    for made in (first, second):
        assert made.shape == (1, 1, 64, 64)
        assert torch.equal(made[x[:, 3:] == 0], x[:, :1][x[:, 3:] == 0])
        assert made.abs().max() <= 1 or torch.equal(made[x[:, 3:] == 0], x[:, :1][x[:, 3:] == 0])
    assert Discriminator()(torch.randn(2, 2, 256, 256)).shape == (2, 4096)


def test_a_residual_generator_begins_at_the_fill() -> None:
    x = torch.randn(2, 4, 32, 32)
    x[:, -1] = 0
    x[:, -1, 8:20, 8:20] = 1
    network = Generator(4, 16, residual=True, size=32)
    assert torch.equal(network(x), x[:, :1])
    network.fine.decoder[-1].bias.data.fill_(0.5)
    inside = x[:, -1:] == 1
    assert torch.allclose((network(x) - x[:, :1])[inside], torch.tensor(0.5))
    assert torch.equal(network(x)[~inside], x[:, :1][~inside])


@pytest.mark.parametrize("loss", ["hinge", "minimax"])
def test_the_generators_loss_is_that_of_its_name(loss: str) -> None:
    score = torch.tensor([-2.0, 0.0, 1.5])
    expected = torch.log(1 - torch.sigmoid(score)) if loss == "minimax" else -score
    torch.testing.assert_close(adversary(score, loss), expected)


def test_gated_convolution_is_elu_times_sigmoid() -> None:
    torch.manual_seed(1)
    layer, x = GatedConv(3, 4), torch.randn(1, 3, 8, 8)
    raw = layer.conv(x)
    expected = torch.nn.functional.elu(raw[:, :4]) * torch.sigmoid(raw[:, 4:])
    torch.testing.assert_close(layer(x), expected)


def naive_attention(features: np.ndarray, hidden: np.ndarray, scale: float, rate: int) -> np.ndarray:
    """Contextual attention of one sample without fusing, pixel by pixel."""
    _channels, rows, cols = features.shape
    small = features[:, ::rate, ::rate]
    h, w = small.shape[1:]
    mask = hidden.reshape(h, rate, w, rate).max((1, 3))
    padded, blocked = np.pad(small, ((0, 0), (1, 1), (1, 1))), np.pad(mask, 1)
    places = [(y, x) for y in range(h) for x in range(w)]
    patch = {p: padded[:, p[0] : p[0] + 3, p[1] : p[1] + 3].ravel() for p in places}
    known = [p for p in places if blocked[p[0] : p[0] + 3, p[1] : p[1] + 3].max() == 0]
    unit = {p: v / max(np.linalg.norm(v), 1e-4) for p, v in patch.items()}
    wide = np.pad(features, ((0, 0), (rate // 2,) * 2, (rate // 2,) * 2))
    total, weight = np.zeros_like(wide), np.zeros(wide.shape[1:])
    for y, x in places:
        score = np.array([scale * unit[k] @ unit[(y, x)] for k in known])
        share = np.exp(score - score.max())
        share /= share.sum()
        raw = sum(
            s * wide[:, k[0] * rate : k[0] * rate + 2 * rate, k[1] * rate : k[1] * rate + 2 * rate]
            for s, k in zip(share, known, strict=True)
        )
        part = np.s_[y * rate : y * rate + 2 * rate, x * rate : x * rate + 2 * rate]
        total[(slice(None), *part)] += raw
        weight[part] += 1
    inner = np.s_[rate // 2 : rate // 2 + rows, rate // 2 : rate // 2 + cols]
    return total[(slice(None), *inner)] / weight[inner]


def test_attention_is_a_softmax_of_known_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    from icectl_inpaint_gan import gated

    monkeypatch.setattr(gated, "_fuse", lambda likeness, shape: likeness)
    rng = np.random.default_rng(0)
    features, hidden = rng.normal(size=(3, 16, 16)), np.zeros((16, 16))
    hidden[6:10, 6:10] = 1
    made = contextual_attention(torch.tensor(features[None]), torch.tensor(hidden[None, None]))
    np.testing.assert_allclose(made[0].numpy(), naive_attention(features, hidden, 10.0, 2), rtol=1e-9)


def test_fusing_adds_the_neighbours_that_move_together() -> None:
    from icectl_inpaint_gan.gated import _fuse

    likeness = torch.zeros(1, 16, 16, dtype=torch.float64)
    likeness[0, 5, 6] = 1.0  # (1, 1) resembles (1, 2): the same shift gains along rows and columns
    fused = _fuse(likeness, (4, 4))
    assert fused[0, 5, 6] == 1
    assert fused[0, 6, 7] == 1  # one to the right
    assert fused[0, 9, 10] == 1  # one below
    assert fused[0, 5, 5] == 0


def test_attention_without_known_patches_changes_nothing() -> None:
    features = torch.randn(1, 2, 8, 8)
    assert torch.equal(contextual_attention(features, torch.ones(1, 1, 8, 8)), features)


def test_spectral_norm_never_overwrites_the_weights_and_ignores_the_batch() -> None:
    torch.manual_seed(0)
    critic = Discriminator(2, 8, 3)
    stored = {k: v.clone() for k, v in critic.state_dict().items() if k.endswith("original")}
    twin = Discriminator(2, 8, 3)
    twin.load_state_dict(critic.state_dict())
    for step in range(30):
        critic(torch.randn(2, 2, 32, 32))
        twin(torch.randn(5, 2, 32, 32) * step)
    after = critic.state_dict()
    assert stored
    assert all(torch.equal(v, after[k]) for k, v in stored.items())
    assert all(torch.equal(v, twin.state_dict()[k]) for k, v in after.items())  # so one process equals two
    weight = critic.layers[0].weight.flatten(1)
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1.0, abs=0.02)
    critic.eval()
    critic(torch.randn(2, 2, 32, 32))
    assert all(torch.equal(v, critic.state_dict()[k]) for k, v in after.items())
