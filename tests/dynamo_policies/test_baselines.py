"""The baselines against literal transcriptions of their formulas in float64, and the rules they keep."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from baseline_oracles import ORACLES, SEED
from dynamo_policies.encoders import Encoder, EncoderConfig
from dynamo_policies.errors import ConfigError
from dynamo_policies.objectives import OBJECTIVES, Objective
from dynamo_policies.objectives.averages import ema_decay_at
from dynamo_policies.objectives.byol import ByolConfig, ByolTConfig, byol_loss
from dynamo_policies.objectives.mae import Mae, MaeConfig
from dynamo_policies.objectives.moco import MocoConfig, contrast
from dynamo_policies.objectives.rpt import RptConfig
from dynamo_policies.objectives.tcn import TcnConfig, TcnMvConfig, TcnSvConfig, semi_hard

SMALL: dict[str, dict[str, Any]] = {
    "byol": {"hidden": 6, "projection": 4},
    "byol_t": {"hidden": 6, "projection": 4},
    "moco_v3": {"hidden": 6, "projection": 4, "temperature": 0.7},
    "rpt": {"layers": 1, "heads": 2, "width": 8, "longest": 6},
    "tcn_mv": {"embedding": 5},
    "tcn_sv": {"embedding": 5, "positive_radius": 1, "negative_radius": 2},
    "mae": {"decoder_width": 8, "decoder_layers": 1, "decoder_heads": 2},
}


def make(name: str, **settings: Any) -> Any:
    """The objective `name` with tiny networks in float64, in training mode."""
    encoder = EncoderConfig(kind="vit_t8" if name == "mae" else "resnet18", image_size=32, channels=4, seed=5)
    config, objective = OBJECTIVES[name]
    random = torch.Generator().manual_seed(2)
    return objective(config(**(SMALL[name] | settings)), Encoder(encoder), random).double().train()


def segments(batch: int = 2, ticks: int = 4, views: int = 2) -> Tensor:
    shape = (batch, ticks, views, 32, 32, 3)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(7), dtype=torch.uint8)


def total(objective: Objective, batch: Tensor) -> Tensor:
    torch.manual_seed(SEED)
    return objective(batch).total


CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ORACLES),
    ("rpt", {"target": "ema"}),
    ("tcn_mv", {"negatives": "sequence"}),
    ("tcn_mv", {"negative_window": 1}),
    ("mae", {"pixels": "patch"}),
]


@pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda value: str(value))
def test_loss_and_gradients_are_those_of_the_formula(name: str, settings: dict[str, Any]) -> None:
    objective = make(name, **settings)
    batch = segments(1, 2) if name == "mae" else segments(2, 5, 3 if name == "tcn_mv" else 2)
    given, expected = total(objective, batch), ORACLES[name](objective, batch)
    assert given.item() == pytest.approx(expected.item(), rel=1e-9)
    parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    ours = torch.autograd.grad(given, parameters, materialize_grads=True, allow_unused=True)
    theirs = torch.autograd.grad(expected, parameters, materialize_grads=True, allow_unused=True)
    scale = max(their.norm().item() for their in theirs)
    for our, their in zip(ours, theirs, strict=True):
        assert (our - their).norm().item() <= 1e-6 * their.norm().item() + 1e-9 * scale


@pytest.mark.parametrize("name", ORACLES)
def test_the_gradient_reaches_every_network_and_no_average(name: str) -> None:
    objective = make(name)
    total(objective, segments(2, 5)).backward()
    for network in objective.networks().values():
        assert all(p.grad is not None for p in network.parameters())
        assert sum(p.grad.abs().sum().item() for p in network.parameters()) > 0.0
    first = next(objective.encoder.trunk.parameters())
    assert first.grad.abs().sum() > 0.0
    trained = {id(p) for network in objective.networks().values() for p in network.parameters()}
    assert all(p.requires_grad == (id(p) in trained) for p in objective.parameters())


@pytest.mark.parametrize("name", ORACLES)
def test_chance_is_the_steps_own(name: str) -> None:
    objective = make(name)
    first, again = total(objective, segments(2, 5)).item(), total(objective, segments(2, 5)).item()
    assert first == again
    torch.manual_seed(12)
    other = objective(segments(2, 5)).total.item()
    assert other != first


def moved_by(decay: float, before: Tensor, online: Tensor) -> Tensor:
    return decay * before + (1.0 - decay) * online


@pytest.mark.parametrize("name", ["byol", "byol_t"])
def test_byols_average_moves_after_a_step_by_a_constant_share(name: str) -> None:
    byol = make(name)
    held, online = byol.target[0].trunk.conv1.weight, byol.encoder.trunk.conv1.weight
    with torch.no_grad():
        online += 1.0
        byol.projector[0].weight += 1.0
    for progress in (0.0, 0.7):
        before, head_before = held.clone(), byol.target[1][0].weight.clone()
        byol.before_step(progress)
        assert torch.equal(held, before)
        byol.after_step(progress)
        torch.testing.assert_close(held, moved_by(0.99, before, online))
        torch.testing.assert_close(
            byol.target[1][0].weight, moved_by(0.99, head_before, byol.projector[0].weight)
        )


def test_byols_average_may_stop_moving_towards_the_end() -> None:
    byol = make("byol", ema_schedule="cosine", ema_decay=0.5)
    held, online = byol.target[0].trunk.conv1.weight, byol.encoder.trunk.conv1.weight
    with torch.no_grad():
        online += 1.0
    before = held.clone()
    byol.after_step(1.0)
    assert torch.equal(held, before)
    byol.after_step(0.0)
    torch.testing.assert_close(held, moved_by(0.5, before, online))


def test_mocos_average_moves_before_a_step_by_a_share_that_falls() -> None:
    moco = make("moco_v3")
    held, online = moco.target[0].trunk.conv1.weight, moco.encoder.trunk.conv1.weight
    with torch.no_grad():
        online += 1.0
    for progress in (0.0, 0.5):
        before = held.clone()
        moco.before_step(progress)
        torch.testing.assert_close(held, moved_by(ema_decay_at(progress, start=0.99), before, online))
        before = held.clone()
        moco.after_step(progress)
        assert torch.equal(held, before)


def test_heads_are_those_of_the_repositories() -> None:
    def layout(head: torch.nn.Sequential) -> list[tuple[str, list[str]]]:
        return [(type(layer).__name__, [name for name, _ in layer.named_parameters()]) for layer in head]

    norm, both = ("BatchNorm1d", ["weight", "bias"]), ["weight", "bias"]
    begin, plain = [("Linear", both), norm, ("ReLU", []), ("Linear", both)], ("Linear", ["weight"])
    byol, moco = make("byol"), make("moco_v3")
    assert layout(byol.projector) == layout(byol.predictor) == begin
    assert layout(moco.predictor) == [plain, norm, ("ReLU", []), plain]
    assert layout(moco.projector) == [plain, norm, ("ReLU", []), plain, ("BatchNorm1d", [])]
    published = OBJECTIVES["moco_v3"][0]()
    assert (published.hidden, published.projection) == (4096, 256)


@pytest.mark.parametrize("name", ["byol", "moco_v3"])
def test_averages_normalise_by_their_own_batches(name: str) -> None:
    objective = make(name)
    objective.before_step(0.0)
    total(objective, segments(2, 5))
    objective.after_step(0.0)
    statistics = objective.target[0].trunk.bn1
    assert statistics.training
    assert statistics.num_batches_tracked > 0


def test_rpts_masks_have_the_shares_asked_for() -> None:
    masks = make("rpt").draw_masks(3000, 6, torch.Generator().manual_seed(0)).double()
    assert masks.shape == (3000, 6, 2)
    assert masks.mean().item() == pytest.approx(0.8, abs=0.01)
    # Shares differ between sequences: more spread than independent draws at one share would have.
    assert masks.mean(dim=(1, 2)).var().item() > 1.15 * 0.8 * 0.2 / 12


def test_an_rpt_token_that_is_masked_is_not_seen() -> None:
    rpt = make("rpt")
    embeddings = torch.randn(1, 3, 2, 32, dtype=torch.float64)
    masked = torch.zeros(1, 3, 2, dtype=torch.bool)
    masked[0, 1, 0] = True
    other = embeddings.clone()
    other[0, 1, 0] += 1.0
    assert torch.equal(rpt.transformer(embeddings, masked), rpt.transformer(other, masked))
    seen = ~masked
    assert not torch.equal(rpt.transformer(embeddings, seen), rpt.transformer(embeddings + 1.0, seen))


def test_mae_encodes_only_what_is_not_masked() -> None:
    mae = make("mae")
    lengths = []
    mae.encoder.trunk.blocks[0].register_forward_hook(lambda _, given, __: lengths.append(given[0].shape[1]))
    total(mae, segments(1, 2))
    assert lengths == [1 + 4]  # a quarter of 16 patches


def test_the_semi_hard_negative_is_the_nearest_beyond_the_positive() -> None:
    line = torch.tensor([0.0, 1.0, 1.2, 3.0], dtype=torch.float64)[:, None]
    positive = torch.zeros(4, 4, dtype=torch.bool)
    positive[0, 1] = True
    negative = torch.zeros(4, 4, dtype=torch.bool)
    negative[0, 2] = negative[0, 3] = True
    assert semi_hard(line, positive, negative, 1.0).item() == pytest.approx(1.0 + 1.0 - 1.44)
    negative[0, 2] = negative[0, 3] = False
    negative[0, 0] = True  # nothing is further than the positive, so the furthest there is
    assert semi_hard(line, positive, negative, 1.0).item() == pytest.approx(1.0 + 1.0 - 0.0)


@pytest.mark.parametrize("name", ["tcn_mv", "tcn_sv"])
def test_a_blind_encoder_reaches_the_trivial_loss_of_tcn(name: str) -> None:
    one_image = segments()[:1, :1, :1].expand(2, 5, 2, -1, -1, -1)
    losses = make(name, colours="as_recorded")(one_image)
    assert losses.total.item() == pytest.approx(losses.trivial)


def test_a_blind_encoder_reaches_the_trivial_loss_of_moco() -> None:
    moco = make("moco_v3")
    same = torch.ones(20, 4, dtype=torch.float64)
    assert moco(segments(2, 5)).trivial == pytest.approx(2 * contrast(same, same, 0.7).item())


def test_a_blind_encoder_reaches_the_trivial_loss_of_byol() -> None:
    same = torch.ones(20, 4, dtype=torch.float64)
    assert byol_loss(same, same).item() == pytest.approx(make("byol")(segments()).trivial, abs=1e-9)


def test_mae_refuses_a_resnet() -> None:
    encoder = Encoder(EncoderConfig(image_size=32, channels=4))
    with pytest.raises(
        ConfigError, match=r"needs a vision transformer; encoder: resnet18 is given, .*vit_b16"
    ):
        Mae(MaeConfig(), encoder, torch.Generator())


def test_tcn_mv_refuses_a_single_camera() -> None:
    with pytest.raises(ConfigError, match="tcn_mv needs at least two cameras; with one, tcn_sv is possible"):
        make("tcn_mv")(segments(2, 5, 1))


def test_rpt_refuses_other_cameras_or_longer_segments() -> None:
    for batch in (segments(1, 7), segments(1, 4, 3)):
        with pytest.raises(ConfigError, match=r"at most 6 ticks \(longest\) of 2 cameras \(views\)"):
            make("rpt")(batch)


def test_byol_t_refuses_a_single_tick() -> None:
    with pytest.raises(ConfigError, match="segments of 1 tick have none"):
        make("byol_t")(segments(2, 1))
    assert ByolTConfig().ticks == 2
    assert ByolConfig().ticks == 1


@pytest.mark.parametrize(
    ("config", "settings", "says"),
    [
        (ByolConfig, {"ema_decay": 1.5}, "ema_decay 1.5 is not in"),
        (ByolConfig, {"hidden": 0}, "must be at least 1"),
        (ByolConfig, {"crop_scale_min": 0.0}, "crop_scale_min 0 is not in"),
        (MocoConfig, {"temperature": 0.0}, "temperature 0 must be positive"),
        (MocoConfig, {"crop_scale_min": 2.0}, "crop_scale_min 2 is not in"),
        (RptConfig, {"mask_min": 0.9, "mask_max": 0.8}, "masks from 0.9 to 0.8"),
        (RptConfig, {"width": 10, "heads": 4}, "width 10 is not a multiple of heads 4"),
        (TcnConfig, {"margin": 0.0}, "margin 0 must be positive"),
        (TcnSvConfig, {"positive_radius": 5}, r"positive_radius 5 is not in 1\.\.negative_radius 4"),
        (MaeConfig, {"mask_share": 1.0}, "mask_share 1 is not in"),
        (MaeConfig, {"decoder_width": 10, "decoder_heads": 2}, "decoder_width 10 is no multiple"),
        (TcnMvConfig, {"embedding": 0}, "embedding 0 is not at least 1"),
    ],
)
def test_impossible_settings_are_refused(config: Any, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        config(**settings)
