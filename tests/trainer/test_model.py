import math

import pytest
import torch
import torch.nn.functional as F

from trainer import model as model_module
from trainer.config import ModelConfig
from trainer.model import Model, new_cache, summed_nats, token_nats
from trainer.shape import PRESETS, Shape, dims_of_depth

SHAPE = Shape(vocab=97, seq_len=24, layers=2, width=32, heads=4, kv_heads=2, head_dim=8, hidden=48)


def woken(shape: Shape = SHAPE) -> Model:
    """A model whose output matrices are not zero, as after some training."""
    model = Model(shape, seed=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.1)
    return model


def tokens(rows: int, length: int) -> torch.Tensor:
    return torch.randint(0, SHAPE.vocab, (rows, length), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("chunk", [1, 7, 60, 10**6])
def test_the_chunked_loss_and_its_gradients_equal_the_plain_ones(chunk, monkeypatch):
    monkeypatch.setattr(
        model_module,
        "_chunks",
        lambda rows, vocab: [slice(i, min(i + chunk, len(rows))) for i in range(0, len(rows), chunk)],
    )
    torch.manual_seed(0)
    hidden = torch.randn(3, 20, 16, requires_grad=True)
    weight = torch.randn(97, 16, requires_grad=True)
    targets = torch.randint(0, 97, (3, 20))
    ours = torch.autograd.grad(summed_nats(hidden, weight, targets) * 0.25, [hidden, weight])
    plain_loss = F.cross_entropy((hidden @ weight.T).flatten(0, 1), targets.flatten(), reduction="sum")
    plain = torch.autograd.grad(plain_loss * 0.25, [hidden, weight])
    torch.testing.assert_close(summed_nats(hidden, weight, targets), plain_loss)
    torch.testing.assert_close(ours, plain)


def test_the_loss_of_each_token_adds_up_to_the_summed_loss():
    model, x = woken(), tokens(3, 20)
    nats = token_nats(model.hidden(x[:, :-1]), model.head.weight, x[:, 1:])
    assert nats.shape == (3, 19)
    torch.testing.assert_close(nats.sum(), model(x[:, :-1], x[:, 1:]).detach())


def test_a_new_model_finds_every_token_equally_likely_when_its_head_is_its_own():
    model, x = Model(Shape(**{**as_dict(SHAPE), "tied": False}), seed=3), tokens(2, 20)
    assert float(model(x[:, :-1], x[:, 1:]).detach()) == pytest.approx(38 * math.log(97), rel=1e-6)


def as_dict(shape: Shape) -> dict:
    return {name: getattr(shape, name) for name in shape.__slots__}


def test_the_norm_written_for_cpus_and_its_gradients_equal_torchs():
    norm = model_module.Norm(16, 1e-6)
    x = torch.randn(4, 5, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
    grad = torch.randn(4, 5, 16)
    plain = F.rms_norm(x, (16,), norm.weight, 1e-6)
    torch.testing.assert_close(norm(x), plain)
    ours = torch.autograd.grad(norm(x), [x, norm.weight], grad)
    torch.testing.assert_close(ours, torch.autograd.grad(plain, [x, norm.weight], grad))


def test_rotation_by_roll_equals_the_rotate_half_of_the_textbook():
    cos, sin = model_module.rotary_tables(SHAPE, 10)
    x = torch.randn(2, 3, 10, 8)
    angles = torch.outer(torch.arange(10.0), 10_000 ** -(torch.arange(4) / 4))
    full = torch.cat((angles, angles), -1)
    half = torch.cat((-x[..., 4:], x[..., :4]), -1)
    torch.testing.assert_close(model_module.rotate(x, (cos, sin)), x * full.cos() + half * full.sin())


def test_hidden_states_through_a_cache_equal_those_of_one_pass():
    model, x = woken(), tokens(2, 20)
    whole = model.hidden(x)
    cache = new_cache(model, 2, 20)
    parts = [model.hidden(x[:, a:b], cache) for a, b in ((0, 6), (6, 7), (7, 15), (15, 16), (16, 20))]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


def test_a_token_sees_nothing_that_comes_after_it():
    model, x = woken(), tokens(1, 20)
    changed = x.clone()
    changed[0, 12:] = (changed[0, 12:] + 1) % SHAPE.vocab
    torch.testing.assert_close(model.hidden(x)[:, :12], model.hidden(changed)[:, :12])
    assert not torch.allclose(model.hidden(x)[:, 12:], model.hidden(changed)[:, 12:])


@pytest.mark.parametrize(
    "changes", [{}, {"tied": False}, {"qk_norm": False}, {"kv_heads": 4, "head_dim": 16}]
)
def test_parameters_counted_from_the_shape_equal_those_of_the_model(changes):
    shape = Shape(**{**as_dict(SHAPE), **changes})
    assert shape.n_params == sum(p.numel() for p in Model(shape).parameters())


@pytest.mark.parametrize(
    ("vocab", "sizes", "n_params"),
    [
        (128_256, {"preset": "llama-8b"}, 8_030_261_248),
        (49_152, {"layers": 30, "width": 576, "heads": 9, "kv_heads": 3, "hidden": 1536}, 134_515_008),
        (
            32_000,
            {"layers": 22, "width": 2048, "heads": 32, "kv_heads": 4, "hidden": 5632, "tied": False},
            1_100_048_384,
        ),
    ],
)
def test_published_models_have_their_published_number_of_parameters(vocab, sizes, n_params):
    shape = ModelConfig(**sizes, qk_norm=False).shape(vocab=vocab, seq_len=2048)
    assert shape.n_params == n_params


def test_flops_count_matrices_six_times_and_attention_in_full():
    by_hand = 6 * (2 * (32 * 8 * 2 * (4 + 2) + 3 * 32 * 48) + 97 * 32) + 12 * 2 * 32 * 24
    assert SHAPE.flops_per_token == by_hand


def test_every_preset_and_depth_makes_whole_heads():
    for dims in [*PRESETS.values(), *(dims_of_depth(d) for d in range(1, 33))]:
        assert dims.width % dims.heads == 0
        assert dims.width // dims.heads % 2 == 0
        assert dims.heads % dims.kv_heads == 0


def test_two_models_of_one_seed_are_equal_and_no_global_random_state_is_used():
    torch.manual_seed(1)
    a = Model(SHAPE, seed=1)
    torch.manual_seed(2)
    b, c = Model(SHAPE, seed=1), Model(SHAPE, seed=2)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(p, q)
    assert not torch.equal(a.embed.weight, c.embed.weight)
    assert float(a.embed.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
