"""Batches: every row once, within the budget, longest first."""

import random

import pytest
import torch

from hone.model import pad, token_batches


@pytest.mark.parametrize("seed", range(20))
def test_every_row_comes_once_within_the_budget_longest_first(seed):
    rng = random.Random(seed)
    lengths = [rng.randint(1, 60) for _ in range(rng.randint(1, 80))]
    budget = rng.choice([1, 40, 64, 200, 10_000])
    batches = token_batches(lengths, max_tokens=budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[index] for index in batch) <= budget or len(batch) == 1 for batch in batches)
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)


def test_no_batch_could_take_the_next_row():
    lengths = [random.Random(1).randint(1, 30) for _ in range(200)]
    batches = token_batches(lengths, max_tokens=128)
    assert all((len(batch) + 1) * lengths[batch[0]] > 128 for batch in batches[:-1])


def test_rows_of_one_length_keep_their_order():
    assert token_batches([3, 3, 3, 3], max_tokens=6) == [[0, 1], [2, 3]]


def test_no_rows_make_no_batch():
    assert token_batches([], max_tokens=10) == []


def test_padding_fills_up_to_the_longest_row_and_the_mask_says_where():
    ids, mask = pad([[5, 6, 7], [8], [9, 9]], pad_id=4)
    assert ids.tolist() == [[5, 6, 7], [8, 4, 4], [9, 9, 4]] and mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert ids.dtype == mask.dtype == torch.long


def test_a_token_with_the_id_of_the_padding_is_not_masked():
    _, mask = pad([[0, 0, 1], [0]], pad_id=0)
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
