"""The peer: transformers' `Trainer` with the defaults of `TrainingArguments` on `AutoModelForSequenceClassification`.

That is batches of 8 random rows padded to their longest, fp32, fused AdamW, a linear fall of the rate from the start.
LoRA is peft's `get_peft_model` on all linear layers. Nothing is logged, saved or scored while it trains.
"""

import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from hone.catalogue import ModelFolder
from hone.model import TextReader, quiet_transformers

__all__ = ["RATES", "Clock", "Rows", "TrainerBaseline", "TrainerRecord"]

RATES = {"full": 5e-5, "lora": 1e-3}
"""Its default for all weights; for LoRA, whose default does not learn within an epoch, the rate that hone starts from too."""

Row = dict[str, Any]


class Clock(TrainerCallback):  # type: ignore[misc]
    """Seconds from the first step to the last, without the set-up before and the cleaning up after."""

    def __init__(self) -> None:
        self.seconds = self.processor_seconds = 0.0
        self._started = self._processor_started = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._started, self._processor_started = time.perf_counter(), time.process_time()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.seconds = time.perf_counter() - self._started
        self.processor_seconds = time.process_time() - self._processor_started


class _Counter:
    """Pads a batch, and counts the rows and the real tokens that go into training."""

    def __init__(self, tokenizer: Any) -> None:
        self._pad = DataCollatorWithPadding(tokenizer)
        self.rows = self.tokens = 0

    def __call__(self, rows: list[Row]) -> Any:
        self.rows += len(rows)
        self.tokens += sum(len(row["input_ids"]) for row in rows)
        return self._pad(rows)


class Rows(torch.utils.data.Dataset[Row]):
    """Rows as a data set of torch."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        return self._rows[index]


class TrainerRecord(NamedTuple):
    """What a run took: `seconds` of its steps, and what it saw."""

    seconds: float
    examples_seen: int
    tokens_seen: int


class TrainerBaseline:
    """One network, trained by as many `Trainer`s as it is asked to be."""

    def __init__(self, trainable: str, folder: ModelFolder, reader: TextReader, *, classes: int) -> None:
        """`trainable`: 'full' or 'lora'."""
        torch.manual_seed(0)
        with quiet_transformers():
            net = AutoModelForSequenceClassification.from_pretrained(
                folder.path, num_labels=classes, dtype=torch.float32, local_files_only=True
            )
        if trainable == "lora":
            from peft import LoraConfig, TaskType, get_peft_model

            config = LoraConfig(task_type=TaskType.SEQ_CLS, r=8, lora_alpha=16, target_modules="all-linear")
            net = get_peft_model(net, config)
        self.net: nn.Module = net
        self._rate = RATES[trainable]
        self._tokenizer = reader.tokenizer

    @property
    def trainable_parameters(self) -> int:
        """How many numbers move."""
        return sum(parameter.numel() for parameter in self.net.parameters() if parameter.requires_grad)

    def train(self, rows: Sequence[Row], *, epochs: int) -> TrainerRecord:
        """Train on rows of `input_ids` and `labels`."""
        clock, counter = Clock(), _Counter(self._tokenizer)
        self._trainer(rows, counter, epochs=epochs, callbacks=[clock]).train()
        return TrainerRecord(clock.seconds, counter.rows, counter.tokens)

    def predict(self, rows: Sequence[Row]) -> NDArray[np.int64]:
        """Index of the likeliest class per row, [n]."""
        trainer = self._trainer(rows, _Counter(self._tokenizer), epochs=1, callbacks=[])
        logits = trainer.predict(Rows(rows)).predictions  # [n, C]
        return np.asarray(np.asarray(logits).argmax(axis=1), dtype=np.int64)

    def _trainer(self, rows: Sequence[Row], counter: _Counter, *, epochs: int, callbacks: list[TrainerCallback]) -> Trainer:
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                num_train_epochs=epochs,
                learning_rate=self._rate,
                use_cpu=not torch.cuda.is_available(),
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=torch.cuda.is_available(),  # without a GPU the default only warns
            )
        trainer = Trainer(
            self.net,
            arguments,
            data_collator=counter,
            train_dataset=Rows(rows),
            callbacks=callbacks,
        )
        trainer.remove_callback(PrinterCallback)  # it would print into the benchmark's own output
        return trainer
