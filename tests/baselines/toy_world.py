"""A toy world of 24 x 16 x 16 voxels at 4 mm: a liver, two kidneys, tumors that are 60 HU darker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from rsuper_bench.baselines import networks
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import CaseRecord, CtInfo, Extractor, Finding, Phase, Presence, Split
from rsuper_bench.benchmark.release import CaseVolumes, LabelMap
from rsuper_bench.benchmark.tumor_types import Side, TumorType

LIVER, KIDNEY_LEFT, KIDNEY_RIGHT = 1, 2, 3
LABELS = LabelMap(
    organs={LIVER: "liver", KIDNEY_LEFT: "kidney_left", KIDNEY_RIGHT: "kidney_right"},
    lesions={1: TumorType.LIVER, 2: TumorType.KIDNEY},
)
SHAPE = (24, 16, 16)
GRID_MM = 4.0
RECIPE = """
name: toy
objective: combined
cases: [{masks: 1}, {masks: 1, reports: 1}]
weights: {segmentation: 1.0, organs: 1.0, volume: 0.05, ball: [0.0, 0.5], attenuation: 0.1}
max_mask_cases: null
max_report_cases: null
tumor_types: [liver, kidney]
positive_kinds: [mass, metastasis, wall_thickening, indeterminate]
not_stated: unknown
grid_mm: 4.0
window_hu: [-160, 240]
crop: [16, 16, 16]
crops: {positives: 0.5}
region_margin_mm: 4.0
unknown_margin_mm: 2.0
network: {name: toy, fold: 2}
organ_input: false
initial_probability: 0.1
losses: {volume: {output: final}, attenuation: {variant: mlp}}
augmentation: {chance: 0.5}
stages:
  - {steps: 3, learning_rate: 0.01, warmup_steps: 1}
  - {steps: 5, learning_rate: 0.005}
batch: 2
betas: [0.9, 0.999]
weight_decay: 0.05
max_grad_norm: 1.0
poly_power: 0.9
ema: 0.9
save_every: 3
organ_gate: release
seed: 7
"""


if "toy" not in networks.NETWORKS:

    @networks.register("toy")
    def _toy(in_channels, out_channels, width=8, dropout=0.1):
        import torch

        network = torch.nn.Sequential(
            torch.nn.Conv3d(in_channels, width, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),  # resuming must repeat its noise too
            torch.nn.Conv3d(width, out_channels, 3, padding=1),
        )
        return networks.with_deepest(network, network[1], width)


def recipe_of(**changes) -> Recipe:
    return Recipe.model_validate(yaml.safe_load(RECIPE) | changes)


def organs_of_toy() -> np.ndarray:
    organs = np.zeros(SHAPE, dtype=np.uint8)
    organs[1:11, 3:13, 3:13] = LIVER
    organs[13:17, 3:9, 3:13] = KIDNEY_RIGHT
    organs[19:23, 3:9, 3:13] = KIDNEY_LEFT
    return organs


@dataclass
class ToyRelease:
    """What ``prepare`` and ``predict`` use of a release, without parquet."""

    cases: dict[str, tuple[CaseRecord, CaseVolumes]]
    folder: Path = Path("toy")
    name: str = "toy"
    digest: str = "d" * 64
    label_map: LabelMap = LABELS

    def records(self, split=None):
        return [record for record, _ in self.cases.values() if split is None or record.split is split]

    def volumes(self, case_id):
        return self.cases[case_id][1]


def record_of(case_id="case-a", *, presence=None, findings=(), masks=None, split=Split.TRAIN, **more) -> CaseRecord:
    return CaseRecord(
        case_id=case_id,
        patient_id=f"patient-{case_id}",
        source="toy",
        licence="CC0-1.0",
        redistributable=True,
        split=split,
        ct=CtInfo(
            file="ct.nii.gz",
            sha256="0" * 64,
            shape=SHAPE,
            spacing_mm=(GRID_MM,) * 3,
            orientation="RAS",
            phase=more.pop("phase", Phase.PORTAL_VENOUS),
        ),
        organ_labels=more.pop("organ_labels", ("liver", "kidney_left", "kidney_right")),
        lesion_masks=masks or {},
        presence=presence or {},
        findings=tuple(findings),
        extractor=Extractor(name="toy", version="1"),
        **more,
    )


def toy_case(index: int, split: Split, *, with_masks: bool) -> tuple[CaseRecord, CaseVolumes]:
    rng = np.random.default_rng(index)
    organs = organs_of_toy()
    lesions = np.zeros(SHAPE, dtype=np.uint8)
    hu = np.where(organs > 0, 100, -100) + rng.normal(0, 8, SHAPE)
    presence = {TumorType.LIVER: Presence.ABSENT, TumorType.KIDNEY: Presence.ABSENT}
    findings = []
    if index % 2:
        x = int(rng.integers(2, 7))
        lesions[x : x + 3, 6:9, 6:9] = 1
        presence[TumorType.LIVER] = Presence.PRESENT
        findings.append(Finding(tumor_type="liver", kind="mass", diameters_mm=(12.0,), attenuation="hypo", side=None))
    if index % 3 == 0:
        lesions[20:22, 4:7, 5:8] = 2
        presence[TumorType.KIDNEY] = Presence.PRESENT
        findings.append(Finding(tumor_type="kidney", kind="mass", side=Side.LEFT, attenuation="hypo"))
    hu = np.where(lesions > 0, hu - 60, hu).astype(np.int16)
    affine = np.diag([GRID_MM, GRID_MM, GRID_MM, 1.0])
    masks = {
        kind: float((lesions == number).sum() * GRID_MM**3) for number, kind in LABELS.lesions.items() if with_masks
    }
    record = record_of(f"case-{index:02d}", presence=presence, findings=findings, masks=masks, split=split)
    drawn = Volume(lesions, affine) if with_masks else None
    return record, CaseVolumes(Volume(hu, affine), Volume(organs, affine), drawn)


def toy_release(n_train=8, n_test=2, masked=4) -> ToyRelease:
    made = [toy_case(index, Split.TRAIN, with_masks=index < masked) for index in range(n_train)]
    made += [toy_case(n_train + index, Split.TEST, with_masks=True) for index in range(n_test)]
    return ToyRelease({record.case_id: (record, volumes) for record, volumes in made})
