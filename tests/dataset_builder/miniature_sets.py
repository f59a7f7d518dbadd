"""Miniature trees in the layouts of public data sets, made from a phantom. No public set was read here."""

import csv
import pickle
from dataclasses import replace
from functools import cache

import numpy as np
import openpyxl

from rsuper_bench.benchmark.nifti import Volume, write_nifti
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.label_map import LABEL_MAP, LESION_NUMBER
from rsuper_bench.dataset_builder.phantom import PhantomSource
from rsuper_bench.dataset_builder.phantom.config import PhantomConfig
from rsuper_bench.dataset_builder.public import open_public_source

REPORT = "Pancreas: hypodense mass in the head, 2.0 cm."

PLUS = {
    "Encrypted Accession Number": "AC1", "Patient ID": "Merlin_1", "Exam Completed Date": "2012-01-01",
    "spacing": "0.7,0.7,1", "Age": "66.703", "Gender": "Female", "Race": "Other", "contrast": "True",
    "manufacturer": "SIEMENS", "manufacturermodelname": "SOMATOM Definition", "kvp": "100.0",
    "xraytubecurrent": "543.0", "phase": "portal_venous",
}  # fmt: skip


@cache
def phantom_case():
    """One synthetic CT with organ masks and a pancreatic tumor."""
    config = PhantomConfig(
        n_cases=1, shape=(48, 40, 32), spacing_mm=(8.0, 8.0, 8.0), prevalence={TumorType.PANCREAS: 1.0}, mask_share=1.0
    )
    source = PhantomSource(config, 3)
    case = source.make(source.keys()[0])
    lesions = np.zeros(case.ct.data.shape, np.uint8)
    lesions[20:22, 20:22, 15:17] = LESION_NUMBER[TumorType.PANCREAS]
    return replace(case, lesions=Volume(lesions, case.ct.affine))


def write_masks(folder, phantom, *, spelling=None, lesion="pancreatic_lesion", tumor=True):
    """One binary file an organ, under the names of the data set."""
    for number in np.unique(phantom.organs.data):
        name = LABEL_MAP.organs.get(int(number))
        if name is not None:
            name = (spelling or {}).get(name, name)
            mask = (phantom.organs.data == number).astype(np.uint8)
            write_nifti(folder / f"{name}.nii.gz", Volume(mask, phantom.ct.affine))
    data = (phantom.lesions.data != 0).astype(np.uint8) * np.uint8(tumor)
    write_nifti(folder / f"{lesion}.nii.gz", Volume(data, phantom.ct.affine))
    write_nifti(folder / "celiac_artery.nii.gz", Volume(np.zeros_like(data), phantom.ct.affine))


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def write_xlsx(path, rows):
    book = openpyxl.Workbook()
    book.active.append(list(rows[0]))
    for row in rows:
        book.active.append(list(row.values()))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def opened(name, root, text=None):
    config = None
    if text is not None:
        config = root.parent / "config.yaml"
        config.write_text(text)
    return open_public_source(name, root, config)


def cases(source):
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301 (our own bytes)
    keys = source.keys()
    return {key.case_id: copy.make(pickle.loads(pickle.dumps(key))) for key in keys}  # noqa: S301


def refused(source):
    return sorted((item.input_id, str(item.reason)) for item in source.rejections())
