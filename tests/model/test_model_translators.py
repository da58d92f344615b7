"""Models that translate between many languages: their tokens go where transformers puts them, and stay with what is saved."""

import json
import shutil

import pytest
import torch
import transformers

from hone.catalogue import locate_model
from hone.core.errors import Usage
from hone.model import LocalBackend, Sampling, load_backend, load_language_model, load_reader
from hone.task import Completion
from hone.train import WriteTarget, make_trainable

LETTERS = sorted(set("the dog runs der hund rennt"))
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PROMPTS = ["the dog", "runs", "the dog runs the dog"]


def tokenizer_of(kind):
    words = [*SPECIAL, "▁", *LETTERS[1:]]
    if kind == "nllb":
        return transformers.NllbTokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[])
    kinds = {"mbart50": transformers.MBart50Tokenizer, "mbart": transformers.MBartTokenizer}
    return kinds[kind](vocab=[(word, -1.0) for word in words])


CODES = {"nllb": ("eng_Latn", "deu_Latn"), "mbart50": ("en_XX", "de_DE"), "mbart": ("en_XX", "de_DE")}


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """Folder of a tiny random translator with the tokenizer of a kind; nothing in it says what it translates."""

    def make(kind):
        folder = tmp_path_factory.mktemp(kind)
        tokenizer = tokenizer_of(kind)
        size = {
            f"{part}_{name}": value
            for part in ("encoder", "decoder")
            for name, value in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 48))
        }
        name = "M2M100" if kind == "nllb" else "MBart"
        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(
            vocab_size=len(tokenizer), d_model=32, max_position_embeddings=64, dropout=0.0, activation_dropout=0.0,
            attention_dropout=0.0, decoder_start_token_id=2, pad_token_id=1, bos_token_id=0, eos_token_id=2, forced_eos_token_id=None, **size,
        )  # fmt: skip
        net = getattr(transformers, f"{name}ForConditionalGeneration")(config)
        for name, parameter in net.named_parameters():  # a random model of this size hardly looks at its source
            if "attn" in name and parameter.ndim == 2:
                parameter.data *= 30
        net.save_pretrained(folder)
        tokenizer.model_max_length = 64
        tokenizer.save_pretrained(folder)
        return folder

    made = {}

    def find(kind):
        if kind not in made:
            made[kind] = make(kind)
        return made[kind]

    return find


def named(folder, kind):
    return f"{folder}@{':'.join(CODES[kind])}"


def theirs(folder, kind, prompt, **more):
    """Tokens that transformers writes behind what it begins with, as its documentation has it for these models; without the end."""
    source, target = CODES[kind]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, src_lang=source, tgt_lang=target)
    net = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    code = tokenizer.convert_tokens_to_ids(target)
    if kind == "mbart":
        net.config.decoder_start_token_id = net.generation_config.decoder_start_token_id = code
    else:
        more["forced_bos_token_id"] = code
    with torch.no_grad():
        ids = net.generate(**tokenizer(prompt, return_tensors="pt"), do_sample=False, max_new_tokens=9, **more)[0]
    return [token for token in ids[1 if kind == "mbart" else 2 :].tolist() if token != 2]


def ours(backend, *, length, beams=1):
    found = backend.generate(PROMPTS, Sampling(max_new_tokens=length, beams=beams))
    return [list(answers[0].ids) for answers in found]


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("kind", CODES)
def test_a_translation_is_that_of_transformers(kind, beams, translator):
    """A forced token counts among transformers' new ones, so one less is asked for here."""
    backend = load_backend(named(translator(kind), kind), precision="fp32")
    wanted = [theirs(translator(kind), kind, prompt, num_beams=beams) for prompt in PROMPTS]
    assert ours(backend, length=9 if kind == "mbart" else 8, beams=beams) == wanted
    assert len({tuple(ids) for ids in wanted}) == 3


@pytest.mark.parametrize("kind", CODES)
def test_what_is_read_anew_is_the_same(kind, translator):
    from hone.model.generate import Generator

    folder = locate_model(named(translator(kind), kind))
    reader = load_reader(folder, precision="fp32")
    net = load_language_model(folder, "seq2seq", pad_id=reader.pad_id)
    prompts = reader.tokenize(PROMPTS)
    one, other = (
        Generator(net, reader.tokenizer, precision="fp32", shares=shares).generate(prompts, Sampling(max_new_tokens=8))
        for shares in (True, False)
    )
    assert [row[0].ids for row in one] == [row[0].ids for row in other]


@pytest.mark.parametrize("kind", CODES)
def test_what_is_learnt_and_scored_begins_as_transformers_labels_do(kind, translator):
    folder = locate_model(named(translator(kind), kind))
    reader = load_reader(folder, precision="fp32")
    (item,) = WriteTarget(reader).encode([Completion("the dog", "der hund", "a.csv", 1)])
    source, target = CODES[kind]
    own = transformers.AutoTokenizer.from_pretrained(folder.path, src_lang=source, tgt_lang=target)
    wanted = own("the dog", text_target="der hund")
    assert (list(item.source), list(item.target)) == (wanted["input_ids"], wanted["labels"])

    net = load_language_model(folder, "seq2seq", pad_id=reader.pad_id)
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder.path).eval()
    if kind != "mbart":  # which turns its labels round: their last token, the language, comes first
        with torch.no_grad():
            loss = theirs(**own("the dog", text_target="der hund", return_tensors="pt")).loss
        likelihood = LocalBackend(net, reader, scores_end=True).score(["the dog"], ["der hund"])[0]
        assert likelihood.log_likelihood == pytest.approx(-loss.item() * likelihood.tokens, rel=1e-4)
    assert net.opening == (
        [reader.tokenizer.convert_tokens_to_ids(target)]
        if kind == "mbart"
        else [2, reader.tokenizer.convert_tokens_to_ids(target)]
    )


@pytest.mark.parametrize("kind", CODES)
def test_what_is_saved_whole_translates_by_itself(kind, translator, tmp_path):
    """Here and in transformers, from a name without languages."""
    folder = locate_model(named(translator(kind), kind))
    reader = load_reader(folder, precision="fp32")
    net = load_language_model(folder, "seq2seq", pad_id=reader.pad_id)
    make_trainable("full").save(net, tmp_path)
    reader.save(tmp_path)
    found = ours(load_backend(str(tmp_path), precision="fp32"), length=8)
    assert found == ours(load_backend(named(translator(kind), kind), precision="fp32"), length=8)
    plain = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    with torch.no_grad():
        ids = plain.generate(
            **tokenizer(PROMPTS[0], return_tensors="pt"), do_sample=False, max_new_tokens=8 + len(net.opening) - 1
        )
    assert [token for token in ids[0, len(net.opening) :].tolist() if token != 2] == found[0]


def test_a_tokenizer_that_says_a_language_is_enough(translator, tmp_path):
    folder = shutil.copytree(translator("nllb"), tmp_path / "model")
    transformers.AutoTokenizer.from_pretrained(folder, src_lang="eng_Latn", tgt_lang="deu_Latn").save_pretrained(folder)
    net = load_language_model(locate_model(str(folder)), "seq2seq", pad_id=1)
    assert net.opening == [2, load_reader(locate_model(str(folder))).tokenizer.convert_tokens_to_ids("deu_Latn")]


def test_a_language_that_the_model_forces_is_enough(translator, tmp_path):
    folder = shutil.copytree(translator("nllb"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"forced_bos_token_id": 30}))  # as transformers wrote it before 2023
    (folder / "generation_config.json").unlink()
    assert load_backend(str(folder)).generate(["the dog"], Sampling(max_new_tokens=2))
    assert load_language_model(locate_model(str(folder)), "seq2seq", pad_id=1).opening == [2, 30]


def test_without_languages_it_is_refused_before_anything_is_computed(translator):
    with pytest.raises(Usage, match=r"translates between 202 languages and was told none\. Write .*@ace_Arab:ace_Latn"):
        load_backend(str(translator("nllb")))


@pytest.mark.parametrize(
    ("kind", "languages", "said"),
    [
        ("nllb", "eng_Latn:dut_Latn", r"knows no language 'dut_Latn'; choose among dan_Latn, deu_Latn"),
        ("nllb", "eng:zho", r"has several languages 'zho'; choose among zho_Hans, zho_Hant, written as here"),
        ("mbart50", "en:qq", r"knows no language 'qq'; choose among af_ZA, .* and 40 more"),
    ],
)
def test_a_language_that_is_not_known_is_named(kind, languages, said, translator):
    with pytest.raises(Usage, match=said):
        load_backend(f"{translator(kind)}@{languages}")


def test_the_first_part_of_a_code_is_enough(translator):
    reader = load_reader(locate_model(f"{translator('mbart50')}@en:DE"))
    assert (reader.tokenizer.src_lang, reader.tokenizer.tgt_lang) == ("en_XX", "de_DE")


def test_other_models_take_no_languages(folder):
    with pytest.raises(Usage, match=r"names languages, and this model has no tokens for any\. Leave out"):
        load_backend(f"{folder('t5')}@en:de")


def test_a_folder_called_like_that_is_found(folder, tmp_path):
    place = tmp_path / "model@en:de"
    place.symlink_to(folder("t5"))
    assert locate_model(str(place)).languages is None


def test_bart_begins_with_the_token_that_its_configuration_forces(folder, tmp_path):
    """As transformers writes with bart-large-cnn."""
    net = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder("bart"))
    net.generation_config.forced_bos_token_id, net.generation_config.forced_eos_token_id = 1, None
    net.save_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder("bart"))
    tokenizer.save_pretrained(tmp_path)
    found = load_backend(str(tmp_path), precision="fp32").generate(["refund the money", "it is late"], Sampling(max_new_tokens=8))
    for prompt, answers in zip(["refund the money", "it is late"], found, strict=True):
        with torch.no_grad():
            ids = net.eval().generate(
                **{key: value for key, value in tokenizer(prompt, return_tensors="pt").items() if key != "token_type_ids"},
                do_sample=False,
                max_new_tokens=9,
            )[0]
        assert [token for token in answers[0].ids if token != 2] == [token for token in ids[2:].tolist() if token != 2]
