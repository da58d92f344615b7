"""The peers of `benchmarks/train.py`: TRL's SFTTrainer, and transformers' Trainer and Seq2SeqTrainer, in several settings.

All get the same token ids, AdamW with one constant rate, no dropout, and as many rows per optimiser step. A default is what the library
does when nothing is said: TRL computes in bf16 with gradient checkpointing, transformers in fp32, both with random batches. Where a machine
does not multiply in bf16, all compute in fp32.
"""

import contextlib
import importlib.util
import logging
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hone.core.device import best_device
from hone.model import quiet_transformers
from reporting import arithmetics
from train_ours import Trained
from train_parts import LENGTH, Part, Prepared
from trainer_baseline import Clock, Rows

__all__ = ["Peer", "Setting", "candidates", "default_setting", "has_trl"]


@dataclass(frozen=True)
class Setting:
    """A trainer and what it is told beyond the rows."""

    name: str
    is_trl: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    attention: str | None = None


def has_trl() -> bool:
    """Whether the extra `bench` is installed."""
    return importlib.util.find_spec("trl") is not None


def default_setting(part: Part) -> Setting | None:
    """The peer as its documentation starts it; None where TRL is needed and missing, or where no such ratio is asked for."""
    if part.default == "trl_default":
        if not has_trl():
            return None
        if "bf16" in arithmetics():
            return Setting("TRL defaults", is_trl=True)
        return Setting("TRL defaults, fp32", is_trl=True, options={"bf16": False})
    return Setting("Trainer defaults", is_trl=False) if part.default else None


def candidates(part: Part, *, is_quick: bool) -> list[Setting]:
    """Settings among which the best peer is chosen; `is_quick` leaves out those that were slow in a trial."""
    rows = part.batch_rows
    arithmetic = arithmetics()[-1]
    exact = {"bf16": arithmetic == "bf16", "gradient_checkpointing": False}
    fast = exact | {"train_sampling_strategy": "group_by_length"}
    quarter = fast | {"per_device_train_batch_size": rows // 4, "gradient_accumulation_steps": 4}
    found = [
        Setting(f"Trainer {arithmetic}, by length, sdpa", False, fast, "sdpa"),
        Setting(f"Trainer {arithmetic}, by length, eager", False, fast, "eager"),
    ]
    if part.head != "classify":
        found.append(Setting(f"Trainer {arithmetic}, by length, {rows // 4} x 4 rows, sdpa", False, quarter, "sdpa"))
    if part.head == "causal" and has_trl():
        found.append(Setting(f"TRL {arithmetic}, by length, no checkpointing", True, fast))
        found.append(Setting(f"TRL {arithmetic}, by length, {rows // 4} x 4 rows", True, quarter))
        if not is_quick:
            found.append(Setting(f"TRL {arithmetic}, padding-free", True, fast | {"padding_free": True, "max_length": None}))
            found.append(Setting(f"TRL {arithmetic}, packed", True, exact | {"packing": True}))
    # workers that load data are not among them: they took the training's cores and more than halved its rate
    if not is_quick and arithmetic == "bf16":
        found.append(Setting("Trainer fp32, by length, sdpa", False, fast | {"bf16": False}, "sdpa"))
    return found


class _Counter:
    """Counts the real tokens that go into training."""

    def __init__(self, collate: Any, *, with_labels: bool) -> None:
        self._collate, self._with_labels = collate, with_labels
        self.tokens = 0

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        self.tokens += sum(len(row["input_ids"]) + (len(row["labels"]) if self._with_labels else 0) for row in rows)
        return self._collate(rows)


class Peer:
    """A trainer in one setting, from the part's own weights in every call."""

    def __init__(self, part: Part, models: Path, prepared: Prepared, setting: Setting) -> None:
        self.name = setting.name
        self._part, self._folder, self._prepared, self._setting = part, models / part.model, prepared, setting

    def train(
        self, items: Sequence[Any], *, in_order: bool = False, initial: Mapping[str, torch.Tensor] | None = None
    ) -> Trained:
        """One pass; `in_order` takes the rows as they stand and notes the loss of every step. `initial`: an adapter's values."""
        clock = Clock()
        with _quiet(), tempfile.TemporaryDirectory() as folder:
            trainer = self._trainer(items, folder, in_order)
            trainer.add_callback(clock)
            if initial is not None:
                unknown = trainer.model.load_state_dict(initial, strict=False).unexpected_keys
                assert not unknown, f"the peer's adapter has other names: {unknown[:3]}"
            counter = _Counter(trainer.data_collator, with_labels=self._part.head == "seq2seq")
            trainer.data_collator = counter
            trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        return Trained(clock.seconds, clock.processor_seconds, counter.tokens, losses)

    def _options(self, in_order: bool) -> dict[str, Any]:
        options: dict[str, Any] = {
            "per_device_train_batch_size": self._part.batch_rows,
            "num_train_epochs": 1,
            "learning_rate": self._part.rate,
            "lr_scheduler_type": "constant",
            "optim": "adamw_torch_fused",
            "use_cpu": best_device().type == "cpu",
            "dataloader_pin_memory": best_device().type == "cuda",
            "save_strategy": "no",
            "logging_strategy": "steps" if in_order else "no",
            "logging_steps": 1,
            "report_to": "none",
            "disable_tqdm": True,
        }
        options |= self._setting.options
        return options | ({"train_sampling_strategy": "sequential"} if in_order else {})

    def _trainer(self, items: Sequence[Any], folder: str, in_order: bool) -> Any:
        import transformers

        part, options = self._part, self._options(in_order)
        tokenizer = self._prepared.reader.tokenizer
        torch.manual_seed(0)
        if self._setting.is_trl:
            return self._trl(items, folder, options)
        net = self._network()
        rows = Rows([_row(part, item) for item in items])
        if part.head == "classify":
            collate: Any = transformers.DataCollatorWithPadding(tokenizer)
        else:
            collate = transformers.DataCollatorForSeq2Seq(tokenizer, model=net if part.head == "seq2seq" else None)
        is_pair = part.head == "seq2seq"
        kind = transformers.Seq2SeqTrainer if is_pair else transformers.Trainer
        arguments = (transformers.Seq2SeqTrainingArguments if is_pair else transformers.TrainingArguments)(folder, **options)
        if part.trainable == "lora":
            from peft import get_peft_model

            net = get_peft_model(net, _lora(part))
        trainer = kind(net, arguments, data_collator=collate, train_dataset=rows)
        trainer.remove_callback(transformers.PrinterCallback)  # it would print into the benchmark's own output
        return trainer

    def _trl(self, items: Sequence[Any], folder: str, options: dict[str, Any]) -> Any:
        import datasets
        import transformers
        import trl

        datasets.disable_progress_bars()
        rows = datasets.Dataset.from_list([_masked_row(item) for item in items])
        trainer = trl.SFTTrainer(
            self._network(),
            trl.SFTConfig(folder, completion_only_loss=True, **({"max_length": LENGTH} | options)),
            train_dataset=rows,
            processing_class=self._prepared.reader.tokenizer,
            peft_config=_lora(self._part) if self._part.trainable == "lora" else None,
        )
        trainer.remove_callback(transformers.PrinterCallback)
        return trainer

    def _network(self) -> Any:
        import transformers

        kinds = {"causal": "AutoModelForCausalLM", "seq2seq": "AutoModelForSeq2SeqLM", "classify": None}
        kind = kinds[self._part.head] or "AutoModelForSequenceClassification"
        extra: dict[str, Any] = {"num_labels": len(self._prepared.labels)} if self._part.head == "classify" else {}
        if self._setting.attention:
            extra["attn_implementation"] = self._setting.attention
        return getattr(transformers, kind).from_pretrained(self._folder, dtype=torch.float32, local_files_only=True, **extra)


def _row(part: Part, item: Any) -> dict[str, Any]:
    if part.head == "classify":
        return {"input_ids": item.ids, "labels": item.target}
    if part.head == "seq2seq":
        return {"input_ids": item.source, "labels": item.target}
    labels = [-100] * len(item.ids)
    for place, label in zip(item.places, item.labels, strict=True):
        labels[place + 1] = label
    return {"input_ids": item.ids, "labels": labels}


def _masked_row(item: Any) -> dict[str, Any]:
    """TRL's form: a mask of the completion's tokens."""
    trained = {place + 1 for place in item.places}
    return {"input_ids": item.ids, "completion_mask": [int(place in trained) for place in range(len(item.ids))]}


def _lora(part: Part) -> Any:
    from peft import LoraConfig

    kind = "SEQ_2_SEQ_LM" if part.head == "seq2seq" else "CAUSAL_LM"
    return LoraConfig(task_type=kind, r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear")


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep what the trainers print off standard output, where --json prints one object."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with quiet_transformers(), contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
