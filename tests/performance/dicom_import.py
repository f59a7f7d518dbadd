"""Time the DICOM source: ``python tests/performance/dicom_import.py``.

One study of 200 synthetic slices of 512 x 512, uncompressed; one thread, processor time, best of three rounds. Prints
how long reading a case takes as a multiple of SimpleITK reading the same files, the share of the scan of the headers,
and the memory that a scanned file and a key take.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK

sys.path.insert(0, str(Path(__file__).parents[1] / "dataset_builder"))
from synthetic_dicom import save, structured_report, write_series

from rsuper_bench.dataset_builder.dicom import DicomSource, load_dicom_config
from rsuper_bench.dataset_builder.dicom.export import read_export

N_SLICES = 200
ROUNDS = 3


def seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def simple_itk(paths: list[str]) -> None:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(paths)
    reader.Execute()


if __name__ == "__main__":
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "export"
        data = np.random.default_rng(0).integers(-1000, 1000, (N_SLICES, 512, 512)).astype(np.int16)
        write_series(root, data, spacing_mm=1.0)
        save(structured_report("Normal."), root / "report")
        source = DicomSource.open(root, load_dicom_config(None, export=root))
        key = source.keys()[0]
        make, scan = seconds(lambda: source.make(key)), seconds(lambda: read_export(root))
        itk = seconds(lambda: simple_itk([str(root / path) for path, _ in key.study.files]))
        tracemalloc.start()
        kept = read_export(root)
        memory = tracemalloc.get_traced_memory()[0] / len(kept.instances)
        print(f"reading a case: {make / itk:.1f} x SimpleITK; the scan of its headers adds {scan / make:.0%}")
        print(f"{memory:.0f} bytes a scanned file, {len(pickle.dumps(key)) / N_SLICES:.0f} bytes a slice of a key")
