"""`--load 4bit` and `8bit`: what is asked of transformers, what is refused, and that layers in few bits are left as they are."""

import sys
import types

import pytest
import torch
from torch import nn

from hone.catalogue import locate_model
from hone.core.errors import MissingPackage, Usage
from hone.model import LanguageModel, load_language_model
from hone.model.loading import quantisation
from hone.train import make_trainable, trained_parameters
from tiny_language import save_language_model


class FewBits(nn.Linear):
    """A stand-in for bitsandbytes' layers: a linear layer whose weight is no matrix of numbers."""

    def __init__(self, plain):
        super().__init__(plain.in_features, plain.out_features, bias=False)
        self.scale = plain.weight.detach().abs().max() / 127
        codes = (plain.weight.detach() / self.scale).round().to(torch.int8)
        self.weight = nn.Parameter(codes.flatten()[:, None], requires_grad=False)

    def forward(self, x):
        matrix = self.weight.view(self.out_features, self.in_features).to(x.dtype) * self.scale.to(x.dtype)
        return nn.functional.linear(x, matrix)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return locate_model(str(save_language_model(tmp_path_factory.mktemp("few-bits"), "llama")))


def in_few_bits(folder):
    """A tiny decoder whose blocks hold their weights so."""
    import transformers

    net = transformers.AutoModelForCausalLM.from_pretrained(folder.path)
    for block in net.model.layers:
        for module in block.modules():
            for name, child in list(module.named_children()):
                if type(child) is nn.Linear:
                    setattr(module, name, FewBits(child))
    return LanguageModel(net, pad_id=0, head="causal")


def test_what_transformers_is_asked_for():
    four, eight = quantisation("4bit"), quantisation("8bit")
    assert four.load_in_4bit and four.bnb_4bit_quant_type == "nf4" and four.bnb_4bit_use_double_quant
    assert four.bnb_4bit_compute_dtype == torch.bfloat16
    assert eight.load_in_8bit and not eight.load_in_4bit


@pytest.mark.parametrize("held", ["4bit", "8bit"])
def test_without_the_package_or_its_arithmetic_it_is_refused_in_one_line(held, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingPackage, match="'bitsandbytes' is not installed"):
        load_language_model(folder, "causal", pad_id=0, held=held)
    monkeypatch.setitem(sys.modules, "bitsandbytes", types.ModuleType("bitsandbytes"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Usage, match=f"--load {held} needs a CUDA GPU") as told:
        load_language_model(folder, "causal", pad_id=0, held=held)
    assert "\n" not in str(told.value)


def test_layers_in_few_bits_are_left_as_they_are_and_adapters_learn_on_them(folder):
    """Neither narrowed nor fused: only the stand-in's own forward can read its codes."""
    torch.manual_seed(0)
    net = make_trainable("lora").prepare(in_few_bits(folder))
    net.narrow_frozen()
    held = {name: module.weight.clone() for name, module in net.named_modules() if isinstance(module, FewBits)}
    assert len(held) == 14 and all(codes.dtype == torch.int8 for codes in held.values())
    assert not any("forward" in vars(module) for module in net.modules() if hasattr(module, "lora_A"))
    assert learns(net)
    assert all(torch.equal(net.get_submodule(name).weight, codes) for name, codes in held.items())


@pytest.mark.parametrize("held", ["4bit", "8bit"])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_adapters_learn_on_the_real_layers(held, folder):
    package = pytest.importorskip("bitsandbytes")
    if not torch.cuda.is_available() and "cpu" not in getattr(package, "supported_torch_devices", ()):
        pytest.skip("this bitsandbytes computes on GPUs only")
    torch.manual_seed(0)
    net = make_trainable("lora").prepare(load_language_model(folder, "causal", pad_id=0, held=held))
    net.narrow_frozen()
    kinds = {type(module).__name__ for module in net.modules()}
    assert {"4bit": "Linear4bit", "8bit": "Linear8bitLt"}[held] in kinds
    assert all(parameter.dtype == torch.float32 for parameter in trained_parameters(net).values())
    with torch.no_grad(), torch.autocast(net.device.type, dtype=torch.bfloat16):
        net.eval()([[1, 5, 6, 7]], [0])  # an answer before the first step, as every run gives
    assert learns(net.train())
    below = [one for name, one in trained_parameters(net).items() if ".layers.0." in name and ".lora_B." in name]
    assert below and all(float(one.abs().max()) > 0 for one in below)  # gradients went through the block above


def learns(net):
    """Whether a few steps bring the loss down."""
    optimiser = torch.optim.AdamW(trained_parameters(net).values(), lr=1e-2)
    labels, losses = torch.tensor([3, 4, 5], device=net.device), []
    for _ in range(4):
        with torch.autocast(net.device.type, dtype=torch.bfloat16):
            loss = net([[1, 5, 6, 7], [2, 3]], [0, 1, 4], labels)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return losses[-1] < 0.8 * losses[0]
