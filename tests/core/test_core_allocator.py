"""The allocator: blocks are aligned, a hole is used again by a block of its size, and the command starts itself with it once."""

import os
import platform
import subprocess
import sys

import pytest

from hone.core import compiled
from hone.core.allocator import allocator_path

BUILT = allocator_path()
needs_allocator = pytest.mark.skipif(BUILT is None, reason="hone was installed without a C compiler, or not on Linux with glibc")

TAKE = """
import ctypes, random
libc = ctypes.CDLL(None)
libc.mallopt(-3, 32 * 2**20)
libc.free.argtypes = [ctypes.c_void_p]

def ask(size, alignment):
    block = ctypes.c_void_p()
    return libc.posix_memalign(ctypes.byref(block), ctypes.c_size_t(alignment), ctypes.c_size_t(size)), block.value

def take(size, alignment=64):
    error, block = ask(size, alignment)
    assert error == 0 and block % alignment == 0, (error, size, alignment)
    ctypes.memset(block, 1, size)
    return block

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
"""
FREE_AND_TAKE_AGAIN = """
import sys
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
for size in range(24, 2**17, 1024):  # what Python freed before lies in nobody's way
    libc.malloc(size), libc.malloc(size)
libc.malloc(2**17 + 16 * int(sys.argv[1]))
blocks = [take(2**20) for _ in range(100)]
for block in blocks[::2]:
    libc.free(block)
before = resident()
again = [take(2**20) for _ in range(50)]
print((resident() - before) / 2**20)
"""
ALIGNED_AS_ASKED = """
rng, held = random.Random(0), []
for _ in range(3000):
    held.append(take(rng.choice((1, 63, 1024, 5000, 2**16 + 8, 3 * 2**20)), rng.choice((8, 16, 64, 64, 64, 256, 4096))))
    if len(held) > 40:
        libc.free(held.pop(rng.randrange(len(held))))
take(40 * 2**20)
print(*ask(100, 24), *ask(2**62, 64))
"""
STARTS_AGAIN = """
import os, sys
print("start", os.getpid(), sys.argv[1:], file=sys.stderr)
from hone.core.allocator import has_allocator, preload_allocator
preload_allocator()
print(os.getpid(), has_allocator(), os.environ.get("LD_PRELOAD"), sys.argv[1:])
"""


def python(*arguments, **environment):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=os.environ | environment)
    return done.stdout.splitlines(), done.stderr


@needs_allocator
def test_a_hole_is_used_again_by_a_block_of_its_size():
    """From each place in a line of 64 bytes where the heap may stand: from one of the four glibc's holes happen to fit.

    Which one that is follows from all that Python has taken before, down to the number of variables in its environment.
    """
    with_holes, grown = [], []
    for start in "0123":
        with_holes += python("-c", TAKE + FREE_AND_TAKE_AGAIN, start)[0]
        grown += python("-c", TAKE + FREE_AND_TAKE_AGAIN, start, LD_PRELOAD=str(BUILT))[0]
    assert max(map(float, with_holes)) > 40  # MiB of 50: what glibc alone does
    assert max(map(float, grown)) < 3


@needs_allocator
def test_every_block_is_aligned_as_asked_and_refused_as_the_contract_says():
    (refused,), _ = python("-c", TAKE + ALIGNED_AS_ASKED, LD_PRELOAD=str(BUILT))
    assert refused == "22 None 12 None"  # EINVAL and ENOMEM, and nothing was written


@needs_allocator
def test_a_command_starts_itself_once_more_and_what_it_starts_is_not_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(STARTS_AGAIN)
    (said,), started = python("-s", str(script), "a b", "c")
    first, second = started.splitlines()
    assert first == second  # the same process, with the same arguments
    assert said == f"{first.split()[1]} True None ['a b', 'c']"


@needs_allocator
def test_another_allocator_that_was_asked_for_stays(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(STARTS_AGAIN)
    (said,), started = python(str(script), LD_PRELOAD="libm.so.6")
    assert len(started.splitlines()) == 1
    assert said.endswith("False libm.so.6 []")


@needs_allocator
def test_verbs_load_it_and_help_does_not():
    _, of_verb = python("-m", "hone", "models", "--help", LD_DEBUG="files")
    _, of_help = python("-m", "hone", "--help", LD_DEBUG="files")
    assert BUILT.name in of_verb
    assert BUILT.name not in of_help


def test_a_program_that_calls_the_command_is_not_started_again():
    lines, _ = python(
        "-c", "import sys; sys.argv[1:] = ['models', '--help']; print('once'); from hone.cli.main import main; main()"
    )
    assert lines.count("once") == 1
    assert any("models" in line for line in lines)


def test_a_path_that_cannot_stand_in_ld_preload_is_not_named(tmp_path, monkeypatch):
    for folder, is_named in (("plain", True), ("with space", False), ("with:colon", False)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "_allocator.abi3.so").touch()
        monkeypatch.setattr(compiled, "__file__", str(tmp_path / folder / "compiled.py"))
        assert (allocator_path() is not None) == (is_named and platform.libc_ver()[0] == "glibc")
