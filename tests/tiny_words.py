"""Tiny random decoders and encoder-decoders that know the words of three topics, and rows whose answers follow from these words.

What pretraining gives is built in: the words of a topic, its name and the answer that belongs to it lie near each other. So a few
steps of training teach the task, and it stays unknown without them.
"""

import random
import re
import warnings
from functools import cache

from hone.task import Example, bundled_templates

__all__ = ["TOPICS", "choice_rows", "label_rows", "save_word_model", "written_rows"]

TOPICS = {
    "boats": "harbour sail anchor mast tide rope deck skipper",
    "bread": "flour oven yeast crust dough loaf knead rye",
    "chess": "pawn rook castle gambit bishop board check queen",
}
COMMON = ("note", "about", "today", "again", "small")
_SHAPES = ("classification", "multiple-choice", "text-to-text", "summarization", "instruction")


@cache
def _vocabulary():
    special = ("<pad>", "<s>", "</s>", "[UNK]")
    topics = [word for name, words in TOPICS.items() for word in (name, *words.split())]
    templates = " ".join(
        f"{one.instruction or ''} {one.prompt} {one.answer}" for shape in _SHAPES for one in bundled_templates(shape)
    )
    told = re.findall(r"\w+|[^\w\s]+", f"{templates} User Assistant A B C D ( ) ) . .) A. B. C.")
    numbers = [str(number) for number in range(100)]
    return {word: at for at, word in enumerate(dict.fromkeys((*special, *topics, *COMMON, *told, *numbers)))}


def _tokenizer(length):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel(_vocabulary(), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="[UNK]",
        model_max_length=length,
    )


def save_word_model(folder, kind, *, length=192, seed=0):
    """Write a tiny model, 'llama' or 't5', that reads `length` tokens; returns the folder."""
    import torch
    import transformers

    usual = {"vocab_size": len(_vocabulary()), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "llama":
        config = transformers.LlamaConfig(
            **usual,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=48,
            max_position_embeddings=length,
            tie_word_embeddings=True,
        )
        made = transformers.AutoModelForCausalLM
    else:
        config = transformers.T5Config(
            **usual, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, dropout_rate=0.0, decoder_start_token_id=0
        )
        made = transformers.AutoModelForSeq2SeqLM
    with torch.random.fork_rng(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        net = made.from_config(config)
        for parameter in net.parameters():  # with weights of 0.02 a decoder says its last word again, whatever stands before
            if parameter.ndim == 2 and kind == "llama":
                parameter.mul_(8)
        table = net.get_input_embeddings().weight
        table.copy_(torch.randn_like(table))
        for name, words in TOPICS.items():
            centre = 1.5 * torch.randn(32)
            for word in (name, *words.split()):
                table[_vocabulary()[word]] += centre
        if kind == "llama":
            table *= 0.3
        net.save_pretrained(folder)
    _tokenizer(length).save_pretrained(folder)
    return folder


def _texts(count, seed):
    """Pairs of a text and its topic, in turns; texts differ."""
    rng = random.Random(seed)
    names = list(TOPICS)
    for at in range(count):
        name = names[at % len(names)]
        words = [*rng.sample(TOPICS[name].split(), 4), rng.choice(COMMON), str(rng.randrange(100)), str(rng.randrange(100))]
        rng.shuffle(words)
        yield " ".join(words), name


def label_rows(count, *, seed=0):
    """The label is the topic."""
    return [Example(text, name, "rows.csv", at + 2) for at, (text, name) in enumerate(_texts(count, seed))]


def written_rows(count, *, seed=0):
    """The answer is the topic's name in words."""
    return [Example(text, f"about {name}", "rows.jsonl", at + 1) for at, (text, name) in enumerate(_texts(count, seed))]


def choice_rows(count, *, seed=0):
    """The topic's name is among three choices or two, the right one at any place."""
    rng = random.Random(seed + 1)
    made = []
    for at, (text, name) in enumerate(_texts(count, seed)):
        others = rng.sample([one for one in TOPICS if one != name], 2 if at % 2 == 0 else 1)
        choices = rng.sample([name, *others], len(others) + 1)
        made.append(Example(text, "ABC"[choices.index(name)], "rows.jsonl", at + 1, choices=tuple(choices)))
    return made
