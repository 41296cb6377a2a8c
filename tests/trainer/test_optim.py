import pytest
import torch

from trainer.model import Model
from trainer.optim import Muon, new_optimiser, orthogonalise
from trainer.shape import Shape

SHAPE = Shape(
    vocab=64, seq_len=16, layers=2, width=16, heads=2, kv_heads=2, head_dim=8, hidden=24, tied=False
)
X = torch.randint(0, 64, (4, 17), generator=torch.Generator().manual_seed(0))


def gradients(model: Model) -> None:
    for p in model.parameters():
        p.grad = None
    (model(X[:, :-1], X[:, 1:]) / 64).backward()


def adamw(model: Model):
    return new_optimiser(model, name="adamw", lr=0.01, weight_decay=0.1, betas=(0.9, 0.95), adam_lr=None)


def muon(model: Model):
    return new_optimiser(model, name="muon", lr=0.02, weight_decay=0.1, betas=(0.9, 0.95), adam_lr=None)


def test_adamw_follows_torchs_with_matrices_decayed_and_norms_not():
    ours, theirs = Model(SHAPE, seed=1), Model(SHAPE, seed=1)
    matrices = [p for p in theirs.parameters() if p.dim() == 2]
    norms = [p for p in theirs.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.0}]
    torchs = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), eps=1e-8)
    optimiser = adamw(ours)
    for factor in (1.0, 0.5, 0.25):
        gradients(ours)
        gradients(theirs)
        for group in torchs.param_groups:
            group["lr"] = 0.01 * factor
        optimiser.step(factor)
        torchs.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-5)


def test_muon_follows_torchs_on_the_hidden_matrices():
    ours, theirs = Model(SHAPE, seed=1), Model(SHAPE, seed=1)
    hidden = [(n, p) for n, p in ours.named_parameters() if p.dim() == 2 and "layers" in n]
    names = {n for n, _ in hidden}
    torchs = torch.optim.Muon(
        [p for n, p in theirs.named_parameters() if n in names], lr=0.02, weight_decay=0.1, momentum=0.95
    )
    mine = Muon(hidden, lr=0.02, weight_decay=0.1)
    for _ in range(3):
        gradients(ours)
        for (_, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            q.grad = p.grad.clone()
        mine.step()
        torchs.step()
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        # torch's rounds run in bfloat16: three digits.
        torch.testing.assert_close(p, q, atol=1e-3, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
    assert any(
        not torch.equal(p, q)
        for p, q in zip(ours.parameters(), Model(SHAPE, seed=1).parameters(), strict=True)
    )


@pytest.mark.parametrize("form", [(5, 12, 12), (2, 8, 24), (3, 24, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(form):
    stack = torch.randn(form, generator=torch.Generator().manual_seed(0))
    before, after = torch.linalg.svdvals(stack), torch.linalg.svdvals(orthogonalise(stack))
    # Five rounds lift what is above a hundredth of the norm into [0.65, 1.2]; smaller values are on their way.
    lifted = after[before > 0.05 * before.norm(dim=-1, keepdim=True)]
    assert 0.65 < float(lifted.min()) < float(lifted.max()) < 1.2


def test_a_matrix_in_a_stack_is_orthogonalised_as_if_it_were_alone():
    stack = torch.randn(3, 24, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(orthogonalise(stack[1:2])[0], orthogonalise(stack)[1], atol=1e-5, rtol=1e-4)


def test_muon_takes_the_layers_matrices_and_adamw_everything_else():
    state = muon_after_a_step().tensors()
    with_muon = {k.removeprefix("muon.momentum.") for k in state if k.startswith("muon.")}
    with_adamw = {k.split(".", 2)[2] for k in state if k.startswith("adamw.")}
    assert with_muon == {
        n for n, p in Model(SHAPE).named_parameters() if n.startswith("layers") and p.dim() == 2
    }
    assert with_adamw == {n for n, _ in Model(SHAPE).named_parameters()} - with_muon


def muon_after_a_step():
    model = Model(SHAPE, seed=1)
    optimiser = muon(model)
    gradients(model)
    optimiser.step(1.0)
    return optimiser


@pytest.mark.parametrize("make", [adamw, muon])
def test_an_optimiser_loaded_from_its_tensors_goes_on_as_if_it_had_never_stopped(make):
    whole = Model(SHAPE, seed=1)
    optimiser = make(whole)
    for _ in range(2):
        gradients(whole)
        optimiser.step(1.0)
    resumed = Model(SHAPE, seed=9)
    resumed.load_state_dict(whole.state_dict())
    second = make(resumed)
    second.load({k: v.clone() for k, v in optimiser.tensors().items()})
    for model, its in ((whole, optimiser), (resumed, second)):
        gradients(model)
        its.step(0.5)
    for p, q in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_rate_of_nothing_changes_nothing():
    model = Model(SHAPE, seed=1)
    before = [p.clone() for p in model.parameters()]
    gradients(model)
    muon(model).step(0.0)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
