"""Seeds are a function of the run's seed and the asker's name, the same on every machine."""

import random

import numpy
import torch

from hone.core.seeds import derive_seed, seed_everything


def test_the_same_asker_gets_the_same_seed_everywhere():
    # Fixed values: a change here changes every run that is repeated from its configuration.
    assert derive_seed(0, "split") == int.from_bytes(bytes.fromhex("68a30a9f"), "big")


def test_another_seed_name_or_order_gives_another_seed():
    asked = [(0,), (1,), (0, "a"), (0, "b"), (0, "a", "b"), (0, "b", "a"), (0, "a", 1), (10, "a"), (1, "0", "a")]
    assert len({derive_seed(*names) for names in asked}) == len(asked)


def test_seeds_fill_32_bits_evenly():
    seeds = [derive_seed(0, "draw", index) for index in range(2000)]
    assert all(0 <= seed < 2**32 for seed in seeds) and len(set(seeds)) == 2000
    assert abs(numpy.mean(seeds) / 2**32 - 0.5) < 0.03


def test_every_global_generator_is_seeded():
    def drawn():
        return random.random(), numpy.random.rand(), torch.rand(1).item()

    kept = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    try:
        seed_everything(7)
        first = drawn()
        assert drawn() != first
        seed_everything(7)
        assert drawn() == first
    finally:
        random.setstate(kept[0])
        numpy.random.set_state(kept[1])
        torch.set_rng_state(kept[2])
