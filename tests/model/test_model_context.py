"""How many tokens a model reads, whatever its configuration calls it."""

import pytest
import transformers

from hone.catalogue.locate import ModelFolder
from hone.model.loading import context_length
from tiny_language import tiny_tokenizer


@pytest.mark.parametrize(
    ("config", "length"),
    [
        (transformers.Gemma3Config(text_config={"max_position_embeddings": 4096}), 4096),  # reads images, too
        (transformers.MptConfig(max_seq_len=1536), 1536),
        (transformers.BloomConfig(seq_length=1024), 1024),
        (transformers.GPT2Config(n_positions=700), 700),
        (transformers.MambaConfig(), 2048),
        (transformers.BloomConfig(), 2048),
        (transformers.MT5Config(), 512),
    ],
)
def test_the_architecture_says_it_where_the_tokenizer_does_not(config, length, tmp_path):
    config.save_pretrained(tmp_path)
    tokenizer = tiny_tokenizer().__class__(tokenizer_object=tiny_tokenizer()._tokenizer)
    assert context_length(ModelFolder("mine", tmp_path, "", None, None), tokenizer) == length
    tokenizer.model_max_length = 300
    assert context_length(ModelFolder("mine", tmp_path, "", None, None), tokenizer) == 300
