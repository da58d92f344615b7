"""A bundle that answers by the one nearest of six known texts."""

from pathlib import Path

import numpy as np
import pytest

from hone.catalogue import locate_model
from hone.compare.bundle import Bundle, Provenance
from hone.compare.records import Cost, ModelInfo
from hone.model import load_encoder
from hone.strategy.predictors import VectorPredictor
from hone.strategy.scorers import Neighbours
from hone.task import Columns

LABELS = ("late", "lost", "refund")
KNOWN = {
    "the order is three days late": "late",
    "still waiting!": "late",
    "your courier lost my letter": "lost",
    "my parcel never came and nobody answers the phone": "lost",
    "can I have my money back": "refund",
    "please refund the second payment, it was taken twice": "refund",
}


@pytest.fixture
def make_bundle(encoder_path, tmp_path: Path):
    """`make_bundle(*columns)`: a bundle on disk whose training rows had these text columns."""

    def make(*columns: str) -> Bundle:
        encoder = load_encoder(locate_model(str(encoder_path())), precision="fp32")
        targets = np.array([LABELS.index(label) for label in KNOWN.values()])
        folder = tmp_path / "best"
        VectorPredictor(encoder, Neighbours(encoder.embed(list(KNOWN)), targets, 3, 1, 0.05), LABELS).save(folder)
        cost = Cost(
            train_seconds=1.0,
            peak_bytes=None,
            trainable_parameters=0,
            bytes_on_disk=1,
            latency_ms_median=1.0,
            latency_ms_p95=1.0,
            rows_per_second=1.0,
        )
        model = ModelInfo(
            name=encoder.folder.name,
            revision=None,
            sha256=encoder.folder.sha256,
            parameters=encoder.parameters,
            context_length=64,
            licence=None,
        )
        provenance = Provenance(
            hone_version="0",
            strategy="nearest",
            labels=LABELS,
            columns=Columns(text=columns or ("message",), label="label"),
            model=model,
            source="rows.csv",
            split_digest="0",
            seed=0,
            settings={"k": 1},
            metrics={},
            cost=cost,
        )
        (folder / "hone.json").write_text(provenance.to_json(), encoding="utf-8")
        return Bundle(folder)

    return make
