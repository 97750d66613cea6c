from __future__ import annotations

import pytest
import torch

from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.resnet import ResNet18
from dynamo_policies.nets.transformer import CausalTransformer, TransformerConfig

SIZES = TransformerConfig(inputs=7, outputs=3, length=6, layers=2, heads=2, width=12)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_resnet_has_torchvisions_names_and_sizes() -> None:
    state = ResNet18(generator()).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["layer1.0.conv1.weight"] == (64, 64, 3, 3)
    assert shapes["layer2.0.downsample.0.weight"] == (128, 64, 1, 1)
    assert shapes["layer4.1.bn2.running_var"] == (512,)
    # torchvision's resnet18 has 122 entries, two of them of `fc`, and 11,689,512 parameters, 513,000 of them
    # in `fc`.
    assert len(shapes) == 120
    assert sum(parameter.numel() for parameter in ResNet18(generator()).parameters()) == 11_176_512


def test_resnet_weights_are_drawn_by_fan_out() -> None:
    weight = ResNet18(generator()).layer4[1].conv2.weight
    assert weight.std().item() == pytest.approx((2.0 / (512 * 9)) ** 0.5, rel=0.01)


def test_channels_last_changes_no_feature() -> None:
    net = ResNet18(generator()).eval()
    images = torch.randn(2, 3, 40, 40, generator=generator())
    plain = net(images)
    torch.testing.assert_close(net.to(memory_format=torch.channels_last)(images), plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changed", [1, 3, 5])
def test_no_output_sees_later_inputs(changed: int) -> None:
    net = CausalTransformer(SIZES, generator()).double()
    sequence = torch.randn(2, 6, 7, dtype=torch.float64, generator=generator())
    later = sequence.clone()
    later[:, changed] += 1.0
    before, after = net(sequence), net(later)
    assert torch.equal(before[:, :changed], after[:, :changed])
    assert not torch.allclose(before[:, changed:], after[:, changed:])


def test_position_matters() -> None:
    net = CausalTransformer(SIZES, generator())
    same = torch.ones(1, 6, 7)
    outputs = net(same)[0]
    assert not torch.allclose(outputs[0], outputs[1])


def test_residual_outputs_are_drawn_smaller() -> None:
    config = TransformerConfig(inputs=8, outputs=8, length=4, layers=8, heads=4, width=256)
    block = CausalTransformer(config, generator()).blocks[0]
    assert block.expand.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert block.contract.weight.std().item() == pytest.approx(0.02 / 4.0, rel=0.02)
    assert block.attention.merge.weight.std().item() == pytest.approx(0.02 / 4.0, rel=0.02)


def test_dropout_acts_in_training_only() -> None:
    config = TransformerConfig(inputs=7, outputs=3, length=6, layers=2, heads=2, width=12, dropout=0.5)
    net = CausalTransformer(config, generator())
    sequence = torch.ones(1, 6, 7)
    assert not torch.equal(net(sequence), net(sequence))
    net.eval()
    assert torch.equal(net(sequence), net(sequence))


def test_a_sequence_past_the_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="a sequence of 7 is too long; at most 6 is possible"):
        CausalTransformer(SIZES, generator())(torch.zeros(1, 7, 7))


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="width 13 is not a multiple of heads 2"):
        TransformerConfig(inputs=1, outputs=1, length=1, heads=2, width=13)
