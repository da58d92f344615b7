"""The Hub is asked for what it knows today, and where it does not answer one sentence says so. A server on this machine plays the Hub."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest

from hone.catalogue import look_up, name_models, read_wanted, search_hub
from hone.catalogue.answer import list_models
from hone.catalogue.card import named_text
from hone.core.errors import Usage

GPT2 = {
    "_id": "1",
    "id": "openai-community/gpt2",
    "downloads": 12_345_678,
    "likes": 99,
    "gated": False,
    "tags": ["license:mit", "en"],
    "cardData": {"license": "mit", "language": "en"},
    "safetensors": {"parameters": {"F32": 124_439_808}, "total": 124_439_808},
    "pipeline_tag": "text-generation",
    "lastModified": "2024-02-19T10:57:45.000Z",
    "createdAt": "2022-03-02T23:29:04.000Z",
}
OTHER = GPT2 | {
    "id": "somebody/german-model",
    "downloads": 7,
    "cardData": {},
    "tags": ["license:apache-2.0"],
    "safetensors": None,
}
MODELS = {model["id"]: model for model in (GPT2, OTHER)}


class Hub(BaseHTTPRequestHandler):
    """Answers /api/models/NAME and /api/models?search=WORDS, and keeps what it was asked."""

    asked: list[str]
    status = 200

    def do_GET(self):  # the server calls it by this name
        url = urlparse(self.path)
        type(self).asked.append(self.path)
        name = url.path.removeprefix("/api/models").strip("/")
        if self.status != 200:
            self._answer(self.status, {"error": "out of order"})
        elif name:
            found = MODELS.get(name)
            self._answer(200 if found else 404, found or {"error": "Repository not found"})
        else:
            words = parse_qs(url.query)["search"][0]
            self._answer(200, [model for model in MODELS.values() if words in model["id"]])

    def _answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Nothing on stderr."""


@pytest.fixture
def online(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def hub(online):
    """`(address, handler)` of a Hub that runs on this machine."""

    class Fresh(Hub):
        asked: list[str] = []  # noqa: RUF012 - one per test

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fresh)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Fresh
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_the_hub_says_of_a_model_is_read(hub):
    answer = look_up(["openai-community/gpt2"], endpoint=hub[0])
    found = answer.models["openai-community/gpt2"]
    assert answer.problem is None
    assert (found.downloads, found.likes, found.licence, found.parameters) == (12_345_678, 99, "mit", 124_439_808)
    assert (found.languages, found.gated, found.modified) == (("en",), False, "2024-02-19")


def test_a_model_that_the_hub_does_not_have_is_left_out_without_a_problem(hub):
    answer = look_up(["openai-community/gpt2", "nobody/nothing"], endpoint=hub[0])
    assert set(answer.models) == {"openai-community/gpt2"}
    assert answer.problem is None


def test_a_licence_that_stands_only_among_the_tags_is_found_and_a_missing_size_stays_unknown(hub):
    found = look_up(["somebody/german-model"], endpoint=hub[0]).models["somebody/german-model"]
    assert found.licence == "apache-2.0"
    assert found.parameters is None


def test_an_error_of_the_hub_is_one_sentence_and_is_not_asked_for_again(hub):
    address, handler = hub
    handler.status = 503
    answer = look_up(["openai-community/gpt2", "a/b", "c/d"], endpoint=address)
    assert answer.models == {}
    assert "status 503" in answer.problem
    assert not any("/a/b" in path or "/c/d" in path for path in handler.asked)


def test_a_search_sends_its_words_and_reads_the_answer(hub):
    address, handler = hub
    answer = search_hub("german", language="de", endpoint=address)
    assert list(answer.models) == ["somebody/german-model"]
    query = parse_qs(urlparse(handler.asked[0]).query)
    assert query["search"] == ["german"]
    assert query["filter"] == ["de"]
    assert "downloads" in query["expand"]


def test_a_search_without_words_is_refused():
    with pytest.raises(Usage, match="nothing to search for"):
        search_hub("  ")


def test_a_network_that_is_not_there_is_one_sentence(online):
    for answer in (look_up(["openai-community/gpt2"]), search_hub("bert")):
        assert answer.models == {}
        assert answer.problem == "The Hub cannot be reached: only what the catalogue holds is shown."


def test_the_offline_switch_is_respected_and_named():
    for answer in (look_up(["openai-community/gpt2"]), search_hub("bert")):
        assert answer.models == {}
        assert "HF_HUB_OFFLINE is set" in answer.problem


def test_a_card_tells_where_the_hub_names_another_licence(hub):
    named = name_models(["gpt2"], read_wanted(), asks_hub=True, endpoint=hub[0])
    text = named_text(named, read_wanted(), width=100, free=10**12)
    assert "12,345,678 in 30 days" in text
    assert "the catalogue says mit-modified: read the card" in text


def test_a_model_that_only_the_hub_has_is_shown_with_the_rest_unknown(hub):
    named = name_models(["somebody/german-model"], read_wanted(), asks_hub=True, endpoint=hub[0])
    assert [model.name for model in named.only_on_hub] == ["somebody/german-model"]
    text = named_text(named, read_wanted(), width=100, free=10**12)
    assert "not in the catalogue" in text
    assert "parameters        unknown" in text


def test_a_filter_on_licences_refuses_a_model_whose_licence_only_the_hub_knows(hub):
    with pytest.raises(Usage, match="not in the catalogue, so filters cannot be held against it"):
        name_models(["somebody/german-model"], read_wanted(licence="commercial"), asks_hub=True, endpoint=hub[0])


def test_a_name_that_neither_knows_is_refused(hub):
    with pytest.raises(Usage, match="in the catalogue or among the Hub's public models"):
        name_models(["nobody/nothing"], read_wanted(), asks_hub=True, endpoint=hub[0])


def test_sorting_by_downloads_asks_the_hub_and_puts_the_unknown_last(hub):
    choice, _ = list_models(read_wanted(licence="mit-modified"), sort="downloads", endpoint=hub[0])
    assert choice.kept[0].name == "openai-community/gpt2"
    assert len(choice.kept) == 4
