"""Adapters that peft wrote, in all its variants: hone's network answers with them as peft's does, and what does not fit is told."""

import pytest
import torch

from hone.catalogue import locate_model
from hone.core.errors import BadModel
from hone.model import load_language_model
from hone.train import make_trainable
from tiny_language import saved_once

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),  # peft asks transformers by its old name
    pytest.mark.filterwarnings("ignore::UserWarning"),  # and advises for and against some variants
]

READ = ["q_proj", "v_proj"]
VARIANTS = {
    "rank-stabilised": {"target_modules": READ, "use_rslora": True},
    "dora": {"target_modules": READ, "use_dora": True},
    "expression": {"target_modules": r".*\.(q|down)_proj"},
    "all layers": {"target_modules": "all-linear"},
    "ranks of their own": {"target_modules": READ, "rank_pattern": {"q_proj": 3}, "alpha_pattern": {"q_proj": 7}},
    "biases": {"target_modules": READ, "bias": "all", "lora_bias": True},
    "one layer": {"target_modules": READ, "layers_to_transform": [1]},
    "on the output layer": {"target_modules": [*READ, "lm_head"]},
    "on the embedding": {"target_modules": [*READ, "embed_tokens"]},
    "output layer whole": {"target_modules": READ, "modules_to_save": ["lm_head"]},
    "embedding whole": {"target_modules": READ, "modules_to_save": ["embed_tokens"]},
    "some words": {"target_modules": READ, "trainable_token_indices": [5, 7, 9]},
}
ROWS = [[1, 5, 7, 9, 11, 13], [1, 6, 8, 9]]
PLACES, LABELS = [1, 4, 6, 8], torch.tensor([3, 4, 5, 6])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Folder of a tiny decoder: llama has an output layer of its own, qwen2 shares it with the embedding."""
    return saved_once(tmp_path_factory)


def save_with_peft(base, folder, settings):
    """Write an adapter of random numbers by peft alone, and return what peft loads from there."""
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    net = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(task_type="CAUSAL_LM", r=4, **settings))
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.data += 0.3 * torch.randn_like(parameter)
    net.save_pretrained(folder)
    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder).eval()


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_adapter_of_pefts_answers_the_same_in_hones_network(variant, kind, base, tmp_path):
    theirs = save_with_peft(base(kind), tmp_path / "adapter", VARIANTS[variant])
    net = load_language_model(locate_model(str(base(kind))), "causal", pad_id=0)
    net = make_trainable("lora").load(net, tmp_path / "adapter").eval()
    with torch.no_grad():
        wanted = torch.cat([theirs(input_ids=torch.tensor([row])).logits[0] for row in ROWS])[PLACES]
        torch.testing.assert_close(net(ROWS, PLACES), wanted, atol=1e-4, rtol=1e-4)
        loss = torch.nn.functional.cross_entropy(wanted, LABELS, reduction="sum")
        torch.testing.assert_close(net(ROWS, PLACES, LABELS), loss, atol=1e-4, rtol=1e-4)


def test_an_adapter_whose_weights_have_other_names_is_refused_rather_than_left_out(base, tmp_path):
    """peft warns, and goes on with the base as it was."""
    from safetensors.torch import load_file, save_file

    save_with_peft(base("llama"), tmp_path / "adapter", {"target_modules": READ})
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    save_file({name.replace("model.model.", "model.net."): value for name, value in load_file(file).items()}, file)
    net = load_language_model(locate_model(str(base("llama"))), "causal", pad_id=0)
    with pytest.raises(BadModel, match=r"does not fit LlamaForCausalLM: it lacks .*q_proj.*Use the base it was made with"):
        make_trainable("lora").load(net, tmp_path / "adapter")
