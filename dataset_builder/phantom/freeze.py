"""The record that holds frozen phantoms to what they were: ``python -m rsuper_bench.dataset_builder.phantom.freeze``.

A benchmark on phantoms is a config, a seed and this code. The record beside the config says what they gave on the day
that the difficulty was fixed; ``--check`` makes every case again and compares.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from rsuper_bench.benchmark.errors import ConfigError, Problem, RsuperBenchError
from rsuper_bench.benchmark.files import digest_of, pretty_json, read_model, sha256_bytes, write_text
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Record
from rsuper_bench.dataset_builder.phantom.config import load_phantom_config, shipped_config
from rsuper_bench.dataset_builder.phantom.source import PhantomSource
from rsuper_bench.dataset_builder.raw_case import CaseKey

_LIBRARIES = ("numpy", "scipy")
_SAMPLE_EVERY = 100


class FrozenCase(Record):
    """What a case was made of.

    Attributes:
        ct: SHA-256 of the voxels; another version of numpy or scipy may round one of them the other way.
        mean_hu: Mean of the CT, which survives that.
        lesion_voxels: Voxels of each lesion label that occurs.
    """

    report: str
    ct: str
    organs: str
    lesions: str
    mean_hu: float
    lesion_voxels: dict[int, int]


class FrozenPhantoms(Record):
    """All cases of a config and a seed.

    Attributes:
        config: Digest of the config with every default.
        cases: Number of cases.
        digest: Over all cases: reports, CT, organ and lesion masks.
        reports: Over all reports alone.
        sample: Every hundredth case, to see what differs if something does.
        libraries: What the digests were made with.
    """

    name: str
    seed: int
    config: str
    cases: int
    digest: str
    reports: str
    sample: dict[str, FrozenCase]
    libraries: dict[str, str]


def record_path(name: str) -> Path:
    """Where the record of a shipped config is."""
    return shipped_config(name).with_suffix(".frozen.json")


def load_record(name: str) -> FrozenPhantoms:
    """The record of a shipped config."""
    return read_model(record_path(name), FrozenPhantoms)


def freeze_case(source: PhantomSource, key: CaseKey) -> FrozenCase:
    """Make one case and describe it."""
    raw = source.make(key)
    lesions = np.zeros(0, np.uint8) if raw.lesions is None else raw.lesions.data
    labels, counts = np.unique(lesions[lesions > 0], return_counts=True)
    return FrozenCase(
        report=sha256_bytes(raw.report.encode()),
        ct=_digest(raw.ct),
        organs=_digest(raw.organs),
        lesions=_digest(raw.lesions),
        mean_hu=round(float(raw.ct.data.mean(dtype=np.float64)), 3),
        lesion_voxels={int(label): int(count) for label, count in zip(labels, counts, strict=True)},
    )


def freeze(name: str, seed: int, jobs: int = 1) -> FrozenPhantoms:
    """Make every case of a shipped config; about as long as ``dataset build``."""
    config = load_phantom_config(name)
    source = PhantomSource(config, seed)
    keys = source.keys()
    made = dict(
        zip(
            [key.case_id for key in keys],
            Parallel(n_jobs=jobs)(delayed(freeze_case)(source, key) for key in keys),
            strict=True,
        )
    )
    return FrozenPhantoms(
        name=name,
        seed=seed,
        config=digest_of(config),
        cases=len(made),
        digest=digest_of({case: [item.report, item.ct, item.organs, item.lesions] for case, item in made.items()}),
        reports=digest_of({case: item.report for case, item in made.items()}),
        sample={case: made[case] for case in list(made)[::_SAMPLE_EVERY]},
        libraries={library: version(library) for library in _LIBRARIES},
    )


def differences(frozen: FrozenPhantoms, now: FrozenPhantoms) -> list[str]:
    """What is not as it was, in words; libraries do not count."""
    found = [
        f"{field}: {getattr(now, field)}, frozen {getattr(frozen, field)}"
        for field in ("name", "seed", "config", "cases", "digest", "reports")
        if getattr(now, field) != getattr(frozen, field)
    ]
    return found + [f"case {case}" for case, item in frozen.sample.items() if now.sample.get(case) != item]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the record of a config, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a config that comes with the package")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="compare with the record instead of writing it")
    given = parser.parse_args(arguments)
    try:
        return (
            _check(load_record(given.name), given.jobs) if given.check else _write(given.name, given.seed, given.jobs)
        )
    except RsuperBenchError as error:
        print(error, file=sys.stderr)
        return 1


def _write(name: str, seed: int, jobs: int) -> int:
    path = record_path(name)
    if path.exists():
        fix = "Compare with --check; a change of what is frozen is a new version with a name of its own."
        raise ConfigError.of([Problem(path.name, "frozen already", "a config without a record", fix)])
    now = freeze(name, seed, jobs)
    write_text(path, pretty_json(now))
    print(f"{now.cases} cases, digest {now.digest}: {path.name}")
    return 0


def _check(frozen: FrozenPhantoms, jobs: int) -> int:
    now = freeze(frozen.name, frozen.seed, jobs)
    found = differences(frozen, now)
    print("\n".join(found) or f"{now.cases} cases, as frozen: digest {now.digest}")
    if found and now.libraries != frozen.libraries:
        print(f"made with {now.libraries}, frozen with {frozen.libraries}: a voxel may round the other way")
    return 1 if found else 0


def _digest(volume: Volume | None) -> str:
    if volume is None:
        return sha256_bytes(b"")
    data: NDArray[np.generic] = np.ascontiguousarray(volume.data)
    return sha256_bytes(f"{data.dtype.str}{data.shape}{volume.affine.tolist()}".encode() + data.tobytes())


if __name__ == "__main__":
    sys.exit(main())
