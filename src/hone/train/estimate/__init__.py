"""What a training run will take, before anything is downloaded or loaded: memory by a dry run, time by counted operations, money by a price list."""

from hone.train.estimate.dry_run import bare_objective, dry_run, items_of_lengths
from hone.train.estimate.fitting import Tries, Way, ways_to_fit
from hone.train.estimate.formulas import accelerate_bytes, textbook_bytes
from hone.train.estimate.generation import cache_bytes
from hone.train.estimate.gpus import Gpu, PriceList, find_gpu, read_prices
from hone.train.estimate.process import process_bytes
from hone.train.estimate.records import DryRun, MemoryEstimate, RowLength

__all__ = [
    "DryRun",
    "Gpu",
    "MemoryEstimate",
    "PriceList",
    "RowLength",
    "Tries",
    "Way",
    "accelerate_bytes",
    "bare_objective",
    "cache_bytes",
    "dry_run",
    "find_gpu",
    "items_of_lengths",
    "process_bytes",
    "read_prices",
    "textbook_bytes",
    "ways_to_fit",
]
