"""Time a crop of a prepared case against its nii.gz, and count what is read: ``python tests/performance/store.py``.

The case is made here: smooth tissue with noise of 15 HU, 400^3 voxels of int16, and organ labels. Both ways end with
128^3 voxels of the CT in memory; nibabel alone reads the nii.gz, without the checks of this package. The pages of both
files are in the system's cache, so that decompression is measured and not the disk. Bytes read are what the process
asked the system for (``rchar`` of ``/proc/self/io``, Linux). Ratios are of medians in one run, on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import nibabel as nib
import numpy as np
from scipy import ndimage

from rsuper_bench.baselines.arrays import StoredArray, array_bytes

CROP = 128
TARGET_FASTER, TARGET_BYTES = 20, 3.0


def anatomy(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = ndimage.gaussian_filter(rng.standard_normal((size // 8 + 1,) * 3).astype(np.float32), 2.5)
    smooth = ndimage.zoom(coarse, 8, order=1)[:size, :size, :size] * 2500
    noise = rng.standard_normal((size,) * 3, dtype=np.float32) * 15
    return np.clip(np.rint(smooth + noise), -991, 500).astype(np.int16), ((smooth > 60) + (smooth > 120)).astype("u1")


def bytes_asked_for() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def timed(call) -> tuple[float, int]:
    before, started = bytes_asked_for(), time.perf_counter()
    call()
    return time.perf_counter() - started, bytes_asked_for() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=400)
    parser.add_argument("--crops", type=int, default=25)
    parser.add_argument("--wholes", type=int, default=3)
    chosen = parser.parse_args()
    ct, organs = anatomy(chosen.size)
    rng = np.random.default_rng(1)
    origins = rng.integers(0, chosen.size - CROP + 1, (chosen.crops, 3))
    parts = [tuple(slice(int(start), int(start) + CROP) for start in origin) for origin in origins]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = nib.Nifti1Image(ct, np.eye(4))
        nib.save(image, folder / "ct.nii.gz")
        started = time.perf_counter()
        (folder / "ct.b2nd").write_bytes(array_bytes(ct))
        written = time.perf_counter() - started
        (folder / "organs.b2nd").write_bytes(array_bytes(organs))
        sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}

        def crop(file: str, array: np.ndarray, part: tuple[slice, ...]) -> None:
            found = StoredArray(folder / file, "case", array.shape, array.dtype)[part]
            assert found.shape == (CROP,) * 3

        def whole() -> None:
            np.ascontiguousarray(np.asanyarray(nib.load(folder / "ct.nii.gz").dataobj)[parts[0]])

        assert np.array_equal(StoredArray(folder / "ct.b2nd", "case", ct.shape, ct.dtype)[parts[0]], ct[parts[0]])
        crop("ct.b2nd", ct, parts[0])
        crops = [timed(lambda part=part: crop("ct.b2nd", ct, part)) for part in parts]
        labels = [timed(lambda part=part: crop("organs.b2nd", organs, part)) for part in parts]
        wholes = [timed(whole) for _ in range(chosen.wholes)]
    crop_s, whole_s = median(seconds for seconds, _ in crops), median(seconds for seconds, _ in wholes)
    asked = [count / (CROP**3 * 2) for _, count in crops]
    print(f"case of {chosen.size}^3 voxels, {ct.nbytes / 2**20:.0f} MiB; files: ", end="")
    print(", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in sizes.items()))
    print(f"writing the CT: {written:.2f} s")
    print(f"CT of a 128^3 crop: {crop_s * 1e3:.1f} ms; from the nii.gz: {whole_s:.2f} s; labels: ", end="")
    print(f"{median(seconds for seconds, _ in labels) * 1e3:.1f} ms")
    print(f"{whole_s / crop_s:.0f} times faster (target {TARGET_FASTER})")
    print(f"bytes read: {max(asked):.2f} times the crop's at most, {median(asked):.2f} in the median (target ", end="")
    print(f"{TARGET_BYTES:g})")


if __name__ == "__main__":
    main()
