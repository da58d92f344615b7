"""The memory estimate: a dry run counts what the real run holds, and reacts to every setting as the real run does."""

import sys
from pathlib import Path

import pytest
import torch
from transformers import (
    AlbertConfig,
    BertConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GptOssConfig,
    LlamaConfig,
    ModernBertConfig,
    Qwen3Config,
    T5Config,
)

from hone.catalogue import locate_model, read_catalogue
from hone.core.errors import BadData, BadModel, Usage
from hone.model import autocast, load_language_model, random_network
from hone.model.attend import forget_masks
from hone.model.configuration import configuration_of
from hone.train import TRAINABLES, make_trainable, trained_parameters
from hone.train.estimate import (
    DryRun,
    RowLength,
    Tries,
    accelerate_bytes,
    bare_objective,
    cache_bytes,
    dry_run,
    find_gpu,
    items_of_lengths,
    read_prices,
    textbook_bytes,
    ways_to_fit,
)
from hone.train.estimate.few_blocks import Shortened, few_blocks
from hone.train.estimate.ledger import Ledger

SMALL = {"vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
CONFIGS = {
    "causal": LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=True),
    "pooled": BertConfig(**SMALL, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
    "seq2seq": T5Config(
        vocab_size=320,
        d_model=64,
        d_kv=16,
        d_ff=96,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=True,
        dropout_rate=0.0,
        decoder_start_token_id=0,
    ),
}
ROWS = (RowLength(24, 8),) * 4


def asked(head, **changes):
    return DryRun(**{"head": head, "rows": ROWS, "precision": "bf16", **changes})


def kept_by_a_real_step(head, method, base=None, precision="bf16", config=None, rows=ROWS):
    """The same ledger over the same pass with real numbers: bytes by kind at the highest moment."""
    torch.manual_seed(0)
    net = make_trainable(method).prepare(base or random_network(config or CONFIGS[head], head))
    if precision == "bf16":
        net.narrow_frozen()
    net.train().train_alone(alone=True)
    forget_masks()  # that the trial of packing left
    objective, items = bare_objective(head, 2), items_of_lengths(head, rows)
    ledger = Ledger(words=320 if head != "pooled" else None)
    for one in (*net.parameters(), *net.buffers(), *beside_the_codes(net)):
        ledger.enter(one, "weights")
    with ledger:
        with autocast(precision, torch.device("cpu")):
            loss, _ = objective.loss(net, objective.collate(items))
        ledger.phase = "backward"
        loss.backward()
    return ledger


def beside_the_codes(net):
    """The tensors that bitsandbytes keeps beside weights in four bits."""
    states = [module.weight.quant_state for module in net.modules() if hasattr(getattr(module, "weight", None), "quant_state")]
    return [one for state in states for one in (state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code)]


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("head", CONFIGS)
def test_a_dry_run_holds_what_a_real_step_holds(head, method, precision):
    # by a name of its own, so that a twin is made and tried
    config = type(CONFIGS[head]).from_dict(CONFIGS[head].to_dict() | {"name": f"{method} {precision}"})
    found = dry_run(config, asked(head, method=method, precision=precision))
    real = kept_by_a_real_step(head, method, precision=precision)
    assert found.tensors - found.optimiser == pytest.approx(real.peak, rel=0.02)
    assert found.flops == real.flops
    assert found.trainable_parameters * 8 == found.optimiser


@pytest.mark.parametrize("method", TRAINABLES)
@pytest.mark.parametrize("head", CONFIGS)
def test_every_method_can_be_tried_without_numbers(head, method):
    if method == "bias" and head != "pooled":
        pytest.skip("Llama and T5 have no biases")
    found = dry_run(CONFIGS[head], asked(head, method=method))
    net = make_trainable(method).prepare(random_network(CONFIGS[head], head))
    assert found.trainable_parameters == sum(one.numel() for one in trained_parameters(net).values())
    assert 0 < found.trainable_parameters <= found.parameters


HEADS = {"encoder": "pooled", "decoder": "causal", "encoder-decoder": "seq2seq"}
CATALOGUED = {entry.architecture: entry for entry in read_catalogue()}


def narrow(entry):
    """The configuration of a small model of an entry's architecture."""
    small = {"layers": 2, "hidden": 64, "heads": 4, "feed_forward": 96, "vocabulary": 320, "key_value_heads": 2, "head_width": 16}
    small |= {"decoder_layers": 2, "embedding": 32, "experts": 4, "experts_used": 2}
    shape = entry.shape.model_copy(update={name: size for name, size in small.items() if getattr(entry.shape, name)})
    config = configuration_of(entry.model_copy(update={"shape": shape}))
    for name in vars(config):
        if "drop" in name:
            setattr(config, name, 0.0)
    if hasattr(config, "rotary_dim"):
        config.rotary_dim = 8
    return config


@pytest.mark.parametrize("architecture", CATALOGUED)
def test_every_architecture_of_the_catalogue_can_be_tried_and_holds_what_a_real_step_holds(architecture):
    entry = CATALOGUED[architecture]
    config, head = narrow(entry), HEADS[entry.family]
    rows = tuple(RowLength(96 - shorter, 32 - shorter) for shorter in (0, 3, 6, 9))
    found = dry_run(config, asked(head, method="lora", precision="fp32", rows=rows))
    real = kept_by_a_real_step(head, "lora", precision="fp32", config=config, rows=rows)
    assert found.flops == real.flops > 0
    assert found.tensors - found.optimiser == pytest.approx(real.peak, rel=0.02)


def deep(head, blocks):
    """The same configuration with more blocks; of an encoder-decoder one less in the decoder."""
    values = CONFIGS[head].to_dict() | ({"num_layers": blocks, "num_decoder_layers": blocks - 1} if head == "seq2seq" else {})
    return type(CONFIGS[head]).from_dict(values | {"num_hidden_layers": blocks})


@pytest.mark.parametrize(
    "changes", [{}, {"gradient_checkpointing": True}, {"forward_tokens": 64}], ids=["whole", "recomputed", "in parts"]
)
@pytest.mark.parametrize("method", ["full", "lora", "prefix"])
@pytest.mark.parametrize("head", CONFIGS)
def test_one_block_stands_for_those_left_out(head, method, changes, monkeypatch):
    run, config = asked(head, method=method, **changes), deep(head, 7)
    assert sum(few_blocks(config, run).left_out.values()) == (4 + 3 if head == "seq2seq" else 4)
    holds_what_the_whole_holds(config, run, monkeypatch)


def holds_what_the_whole_holds(config, run, monkeypatch):
    short = dry_run(config, run)
    monkeypatch.setattr(sys.modules[dry_run.__module__], "few_blocks", lambda config, _: Shortened(config, 1, {}))
    whole = dry_run(config, run)
    assert short.tensors == pytest.approx(whole.tensors, rel=0.01)
    assert (short.flops, short.parameters, short.optimiser, short.weights) == (
        whole.flops,
        whole.parameters,
        whole.optimiser,
        whole.weights,
    )


WIDTHS = {"vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "pad_token_id": 0}
DECODES = WIDTHS | {"num_key_value_heads": 2, "head_dim": 16, "sliding_window": 8}
IN_TURNS = {
    "Gemma 2": (2, 4, Gemma2Config(num_hidden_layers=14, **DECODES)),
    "Gemma 3": (6, 2, Gemma3TextConfig(num_hidden_layers=26, **DECODES)),
    "gpt-oss": (2, 2, GptOssConfig(num_hidden_layers=10, num_local_experts=4, num_experts_per_tok=2, **DECODES)),
    "ModernBERT": (3, 3, ModernBertConfig(num_hidden_layers=17, local_attention=16, **WIDTHS)),
}


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("name", IN_TURNS)
def test_a_turn_of_unlike_blocks_stands_for_those_left_out(name, method, monkeypatch):
    turn, turns, config = IN_TURNS[name]
    run = asked("pooled" if name == "ModernBERT" else "causal", method=method)
    short = few_blocks(config, run)
    assert (short.turn, *short.left_out.values()) == (turn, turns)
    holds_what_the_whole_holds(config, run, monkeypatch)


def test_blocks_that_differ_or_are_counted_are_all_tried():
    sliding = Qwen3Config(**SMALL | {"num_hidden_layers": 8}, use_sliding_window=True, sliding_window=8, max_window_layers=4)
    assert few_blocks(sliding, asked("causal")) == (sliding, 1, {})
    plain = deep("causal", 8)
    for counting in ({"method": "top"}, {"method": "lora", "options": {"layers": 2}}):
        assert few_blocks(plain, asked("causal", **counting)) == (plain, 1, {})
    assert few_blocks(deep("causal", 3), asked("causal")).left_out == {}


@pytest.mark.parametrize("head", ["causal", "seq2seq"])
def test_four_bits_hold_half_a_byte_a_weight_and_their_scales(head):
    few, plain = (dry_run(CONFIGS[head], asked(head, method="lora", held=held)) for held in ("4bit", "plain"))
    assert (few.parameters, few.trainable_parameters) == (plain.parameters, plain.trainable_parameters)
    block = [(64, 64), (32, 64), (32, 64), (64, 64), (96, 64), (96, 64), (64, 96)]  # Llama's, with half as many keys
    if head == "seq2seq":  # 2 encoder blocks, then 2 decoder blocks; the way out of the inner layer is kept
        block = [(64, 64)] * 4 + [(96, 64)] * 2 + [(64, 64)] * 8 + [(96, 64)] * 2
    weights = sum(rows * columns for rows, columns in block * 2)
    tables = 4 * (2 * len(block)) * (16 + 256)
    held = weights / 2 + weights / 64 + tables
    kept = 2 * (few.parameters - few.trainable_parameters - weights) + 4 * few.trainable_parameters
    assert few.weights == pytest.approx(held + kept, rel=0.01)


@pytest.mark.parametrize("head", ["causal", "seq2seq"])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_four_bits_without_numbers_take_what_bitsandbytes_takes(head, tmp_path):
    package = pytest.importorskip("bitsandbytes")
    if "cpu" not in getattr(package, "supported_torch_devices", ()):
        pytest.skip("this bitsandbytes computes on GPUs only")
    random_network(CONFIGS[head], head).base.save_pretrained(tmp_path)
    real = kept_by_a_real_step(head, "lora", load_language_model(locate_model(str(tmp_path)), head, pad_id=0, held="4bit"))
    found = dry_run(CONFIGS[head], asked(head, method="lora", held="4bit"))
    assert found.tensors - found.optimiser == pytest.approx(real.peak, rel=0.05)


def test_nothing_of_a_dry_run_stays_behind():
    """A mask without numbers that a later real pass found in a cache would end in an error or in nonsense."""
    dry_run(CONFIGS["causal"], asked("causal"))
    net = random_network(CONFIGS["causal"], "causal")
    items = items_of_lengths("causal", ROWS)
    loss, terms = bare_objective("causal", 2).loss(net, items)
    assert terms == 32 and torch.isfinite(loss)


def test_a_shorter_pass_and_recomputing_need_less_and_keeping_the_best_needs_more():
    rows = (RowLength(96, 8),) * 4  # long enough that a pass outweighs the gradients that a first one leaves
    whole, shorter, recomputing, keeping = (
        dry_run(CONFIGS["causal"], asked("causal", rows=rows, **changes))
        for changes in ({}, {"forward_tokens": 128}, {"gradient_checkpointing": True}, {"keeps_best": True})
    )
    assert shorter.activations < whole.activations and recomputing.activations < whole.activations
    assert shorter.peak < whole.peak
    assert keeping.peak - whole.peak == 4 * whole.parameters


def test_only_the_words_that_occur_are_counted_as_trained():
    whole, few = (dry_run(CONFIGS["pooled"], asked("pooled", words=words)) for words in (None, 20))
    assert whole.trainable_parameters - few.trainable_parameters == (320 - 20) * 64


def test_an_unknown_architecture_is_one_clear_line():
    from transformers import CLIPTextConfig

    with pytest.raises(BadModel, match="makes no network for 'causal'"):
        dry_run(CLIPTextConfig(), asked("causal"))


def test_each_way_to_fit_needs_less_than_the_one_before():
    before = dry_run(CONFIGS["causal"], asked("causal", rows=(RowLength(256, 64),) * 16))
    ways = ways_to_fit(Tries(CONFIGS["causal"]), asked("causal", rows=(RowLength(256, 64),) * 16), limit=1, has_gpu=True)
    assert [way.change.rsplit("--", 1)[-1].split()[0] for way in ways[:3]] == [
        "forward-tokens",
        "gradient-checkpointing",
        "method",
    ]
    assert ways[3].change.endswith("--load 4bit") and ways[3].asked.held == "4bit"
    assert before.peak > ways[0].peak > ways[1].peak > ways[2].peak
    assert not any(way.fits for way in ways)
    assert not any("4bit" in way.change for way in ways_to_fit(Tries(CONFIGS["pooled"]), asked("pooled"), limit=1))


def test_no_recomputing_is_advised_where_the_architecture_cannot():
    config = AlbertConfig(
        vocab_size=50, embedding_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24
    )
    ways = ways_to_fit(Tries(config), asked("pooled"), limit=1)
    assert [way.change for way in ways if "method lora" in way.change]
    assert not any("checkpointing" in way.change for way in ways)


def test_accelerate_counts_four_times_the_weights_and_no_batch():
    found = dry_run(CONFIGS["causal"], asked("causal"))
    assert accelerate_bytes(CONFIGS["causal"], "causal") == pytest.approx(16 * found.parameters, rel=0.01)


def test_the_textbook_counts_18_bytes_a_parameter_and_34_a_token_layer_and_unit():
    found = dry_run(CONFIGS["causal"], asked("causal"))
    assert textbook_bytes(CONFIGS["causal"], asked("causal"), found) == 18 * found.parameters + 34 * 96 * 64 * 2


@pytest.mark.parametrize("head", ["causal", "seq2seq"])
def test_the_cache_of_keys_and_values_is_as_large_as_transformers_own(head):
    net, ids = random_network(CONFIGS[head], head).base, torch.ones(3, 20, dtype=torch.long)
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids[:, :5]} if head == "seq2seq" else {})
    kept = net(**inputs, use_cache=True).past_key_values
    halves = (kept.self_attention_cache, kept.cross_attention_cache) if head == "seq2seq" else (kept,)
    real = sum(one.numel() * 4 for half in halves for layer in half.layers for one in (layer.keys, layer.values))
    read, written = (20, 5) if head == "seq2seq" else (15, 5)
    assert cache_bytes(CONFIGS[head], rows=3, read=read, written=written, precision="fp32") == real


def test_moments_fill_the_holes_that_passes_leave():
    full, lora = (dry_run(CONFIGS["causal"], asked("causal", method=method)) for method in ("full", "lora"))
    assert 0 < full.holes < lora.holes


def test_the_allocator_leaves_no_holes(monkeypatch):
    plain = dry_run(CONFIGS["causal"], asked("causal", method="lora"))
    monkeypatch.setattr(sys.modules[dry_run.__module__], "has_allocator", lambda: True)
    with_it = dry_run(CONFIGS["causal"], asked("causal", method="lora"))
    assert with_it == plain.model_copy(update={"holes": 0})


def test_a_price_list_says_which_card_it_lacks_and_what_is_wrong_with_it(tmp_path):
    prices = read_prices()
    assert find_gpu("h100", prices).memory_bytes == 80 * 10**9
    old, new = find_gpu("T4", prices), find_gpu("L4", prices)
    assert (old.arithmetic, new.arithmetic) == ("fp32", "bf16")
    assert prices.seconds(old, 8.1e12 * prices.utilisation, "fp32") == pytest.approx(1.0)
    assert prices.seconds(new, 121e12 * prices.utilisation, "bf16") == pytest.approx(1.0)
    assert prices.seconds(new, 1e12, "fp32") is None
    with pytest.raises(Usage, match="Did you mean 'A100-80GB'"):
        find_gpu("A100-80", prices)
    wrong = tmp_path / "prices.toml"
    wrong.write_text('prices_date = "2026-01-01"\n', encoding="utf-8")
    with pytest.raises(BadData, match="prices_source: Field required"):
        read_prices(wrong)
    text = Path(sys.modules[read_prices.__module__].__file__).with_name("gpus.toml").read_text(encoding="utf-8")
    wrong.write_text(text.replace("fp32_tflops = 8.1", ""), encoding="utf-8")
    with pytest.raises(BadData, match="T4 has neither bf16_tflops nor fp32_tflops"):
        read_prices(wrong)
