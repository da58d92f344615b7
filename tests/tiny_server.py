"""A server on this machine that speaks OpenAI's protocol: whatever a test wants it to say, or a tiny decoder's own answers."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Model", "chat_answer", "serve"]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(body)

    def do_GET(self):
        self._answer(None)

    def _answer(self, body):
        state = self.server.state
        with state.lock:
            state.asked.append((self.path, body))
            state.keys.append(self.headers.get("Authorization"))
        status, found, headers = (*state.reply(self.path, body), {})[:3]
        raw = found if isinstance(found, bytes) else json.dumps(found).encode()
        with contextlib.suppress(ConnectionError):  # the client was killed
            self.send_response(status)
            for name, value in {"Content-Length": len(raw), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(raw)

    def log_message(self, *_):
        """Stay silent."""


class _State:
    def __init__(self, reply):
        self.reply, self.asked, self.keys, self.lock = reply, [], [], threading.Lock()
        self.url = ""

    def prompts(self):
        """What was asked for, in order of arrival."""
        return [_prompt(body) for _, body in self.asked if body is not None]


def _prompt(body):
    return body["messages"][0]["content"] if "messages" in body else body["prompt"]


@contextlib.contextmanager
def serve(reply):
    """Serve `reply(path, body) -> (status, JSON or bytes[, headers])`; gives the address and what was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.state = _State(reply)
    server.state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chat_answer(text, *, read=3, written=2, finish="stop"):
    """One chat completion."""
    message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"choices": [message], "usage": {"prompt_tokens": read, "completion_tokens": written}}


class Model:
    """Answers as vLLM's server does, from a tiny decoder in plain transformers."""

    def __init__(self, folder):
        import transformers

        self.net = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.lock = threading.Lock()

    def __call__(self, path, body):
        if path.endswith("/models"):
            return 200, {"data": [{"id": "tiny", "max_model_len": 64}]}
        with self.lock:
            prompt = _prompt(body)
            ids = prompt if isinstance(prompt, list) else [1, *self.tokenizer(prompt, add_special_tokens=False)["input_ids"]]
            if body.get("echo"):
                return 200, self._echo(prompt, ids)
            written, text = self._write(ids, body)
        finish = "length" if len(written) == body["max_tokens"] else "stop"
        content = {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(written) + (finish == "stop")}
        return 200, {"choices": [{"index": 0, "finish_reason": finish, **content}], "usage": usage}

    def _write(self, ids, body):
        import torch

        assert body["temperature"] == 0
        with torch.no_grad():
            found = self.net.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids)),
                do_sample=False,
                pad_token_id=0,
                max_new_tokens=body["max_tokens"],
            )
        written = [token for token in found[0, len(ids) :].tolist() if token != 2]
        return written, self.tokenizer.decode(written, skip_special_tokens=True)

    def _echo(self, prompt, ids):
        import torch

        with torch.no_grad():
            shares = self.net(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
        likelihoods = [None, *(shares[at, token].item() for at, token in enumerate(ids[1:]))]
        best = [None, *({"a": shares[at].max().item(), "b": value} for at, value in enumerate(likelihoods[1:]))]
        written = shares[-1].max().item()
        return {
            "choices": [
                {
                    "index": 0,
                    "text": "",
                    "logprobs": {
                        "tokens": [*self._pieces(prompt, ids), "written"],
                        "token_logprobs": [*likelihoods, written],
                        "top_logprobs": [*best, {"a": written}],
                    },
                }
            ],
            "usage": {"prompt_tokens": len(ids), "completion_tokens": 1},
        }

    def _pieces(self, prompt, ids):
        """The text between the tokens' ends, so that the pieces join to the prompt; the first token stands before the text."""
        if isinstance(prompt, list):
            return [str(token) for token in ids]
        ends = [end for _, end in self.tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]]
        return ["<s>", *(prompt[start:end] for start, end in zip([0, *ends], ends, strict=False))]
