"""A bench of three topics with words of their own, on an encoder of width 32: small, yet separable."""

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from hone.catalogue import locate_model
from hone.model import Encoder, load_encoder, quiet_transformers
from hone.strategy import Effort, EncoderBench
from hone.task import Example

WORDS_PER_TOPIC = 6
TOPICS = 20
COMMON = ("the", "a", "please", "today", "again")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices gain nothing from a second thread, and lose much waiting for it on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT with a word tokenizer that knows every word of the benches, and has an idea of what goes together."""
    topics = [f"t{topic}w{word}" for topic in range(TOPICS) for word in range(WORDS_PER_TOPIC)]
    names = [f"topic{topic}" for topic in range(TOPICS)]
    vocabulary = {word: at for at, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *COMMON, *names, *topics))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    folder = tmp_path_factory.mktemp("encoder")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    net = BertModel(config)
    with torch.no_grad():  # what pretraining gives: words of a topic, and its name, lie near each other
        for topic in range(TOPICS):
            centre = torch.randn(config.hidden_size)
            for word in (f"topic{topic}", *(f"t{topic}w{word}" for word in range(WORDS_PER_TOPIC))):
                net.embeddings.word_embeddings.weight[vocabulary[word]] = centre + 1.5 * torch.randn(config.hidden_size)
    with quiet_transformers():
        net.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(encoder_folder: Path) -> Encoder:
    """That encoder, in fp32. What is imported by now is left out of garbage collections, which training makes at each score."""
    import peft  # noqa: F401 - so that its many objects are frozen too

    encoder = load_encoder(locate_model(str(encoder_folder)), precision="fp32")
    gc.collect()
    gc.freeze()
    return encoder


def rows(counts: Sequence[int], *, seed: int) -> list[Example]:
    """`counts[i]` rows of topic i, shuffled; each has four words of its topic and two that say nothing."""
    rng = random.Random(seed)
    made = []
    for topic, count in enumerate(counts):
        for _ in range(count):
            words = [f"t{topic}w{rng.randrange(WORDS_PER_TOPIC)}" for _ in range(rng.randint(3, 6))] + rng.sample(COMMON, 2)
            rng.shuffle(words)
            made.append((" ".join(words), f"topic{topic}"))
    rng.shuffle(made)
    return [Example(text, label, "made.csv", line) for line, (text, label) in enumerate(made, start=2)]


@pytest.fixture
def make_bench(encoder: Encoder, tmp_path: Path) -> Callable[..., EncoderBench]:
    """A bench with so many training rows per class; five validation rows each."""

    def make(
        counts: Sequence[int] = (14, 14, 14), *, labels: int | None = None, seed: int = 0, **changes: object
    ) -> EncoderBench:
        classes = labels or len(counts)
        values: dict[str, object] = {
            "labels": tuple(sorted(f"topic{topic}" for topic in range(classes))),
            "descriptions": {},
            "train": rows(counts, seed=1),
            "validation": rows([5] * classes, seed=2),
            "encoder": encoder,
            "metric": "accuracy",
            "seed": seed,
            "effort": Effort(epochs=4.0, arms=2, batch_rows=8),
            "work": tmp_path / "work",
        }
        return EncoderBench(**(values | changes))  # type: ignore[arg-type]

    return make
