"""``rsuper-bench demo --real DIR``: the chain on real reports, a real CT with planted lesions, and real tumor masks."""

from __future__ import annotations

from pathlib import Path

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import write_text
from rsuper_bench.benchmark.release import open_release
from rsuper_bench.benchmark.report import EvaluationReport
from rsuper_bench.chain import Chain
from rsuper_bench.demo import BASELINES, build_board, print_table, train_and_evaluate
from rsuper_bench.real_data import write_folder_input

N_PLANTED = 60
FRACTIONS = ("0.5", "0.2", "0.3")  # of one anatomy: small splits, but each needs cases of both classes
STEPS = ("stages.0.steps=40", "stages.1.steps=60")  # the planted chain shows that it runs; it cannot show more
# The CT is TotalSegmentator's example, without contrast; see docs/real-data.md for its licence.
PLANTED_CONFIG = """\
phase: non_contrast
licence: Apache-2.0
redistributable: true
"""


def run_real_demo(data_dir: Path, out: Path, *, seed: int = 0) -> None:
    """Run the chain on a folder of real data (docs/real-data.md) and print where its parts are.

    Raises:
        DataError: When the folder lacks files that the demo needs.
    """
    example = data_dir / "ct" / "totalseg_example"
    reports, labels = data_dir / "reports" / "reports.csv", data_dir / "reports" / "reports_labels.csv"
    planted = {
        "ct": example / "ct.nii.gz",
        "organs": example / "seg_total.nii.gz",
        "labels": example / "labels_total.csv",
    }
    _require([reports, labels, *planted.values()])
    scans = write_folder_input(data_dir, out / "scans-input")
    config = out / "planted.yaml"
    write_text(config, PLANTED_CONFIG)
    chain = Chain(n_steps=6 + 2 * len(BASELINES))
    findings = out / "findings.jsonl"
    chain.step(
        "real reports: read and compare with hand-made labels",
        ("dataset", "extract", reports, "--extractor", "rules", "--out", findings),
        ("dataset", "agreement", findings, labels, "--out", out / "agreement.json"),
    )
    chain.step(
        "real tumors with masks: build a release from cases.csv",
        ("dataset", "build", "--source", "folder", "--input", scans, "--out", out / "scans-release"),
    )
    opened = _open_scans(chain, out / "scans-release")
    release = out / "planted-release"
    chain.step(
        "a real CT with planted lesions: build a release (one anatomy in all splits, hence --smoke)",
        (
            *("dataset", "build", "--source", "planted", "--config", config, "--n", str(N_PLANTED), "--smoke"),
            *("--seed", str(seed), "--jobs", "2", "--fractions", *FRACTIONS, "--out", release),
            *(part for name, path in planted.items() for part in (f"--{name}", path)),
        ),
    )
    evaluated = _planted_chain(chain, release, out)
    board = build_board(chain, evaluated, out, release)
    print_table(evaluated)
    for line in opened:
        print(line)
    print(f"agreement on real reports: {out / 'agreement.json'}")
    print(f"report (not evidence: one anatomy): {out / 'evaluation' / 'combined' / 'report.html'}")
    print(f"board:  {board}")


def _require(paths: list[Path]) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        fix = "See docs/real-data.md for the layout of the folder."
        raise DataError.of([Problem(str(path), "no such file", "real data", fix) for path in missing])


def _open_scans(chain: Chain, release: Path) -> list[str]:
    """Open the release as a user would who has only ``datasets`` and ``nibabel``."""
    from datasets import load_dataset

    lines = []
    with chain.timed("open it with load_dataset"):
        for split, cases in load_dataset(str(release), "cases").items():
            for case in cases:
                lesion_voxels = int((case["lesions"].get_fdata() > 0).sum())
                lines.append(
                    f"opened {case['case_id']} ({split}): CT {case['ct'].shape}, {lesion_voxels} lesion voxels"
                )
    return lines


def _planted_chain(chain: Chain, release: Path, out: Path) -> dict[str, EvaluationReport]:
    """Train the demo recipes on every tumor type that the planted reports both state and exclude."""
    from rsuper_bench.benchmark.reference import release_task

    types = ", ".join(release_task(open_release(release)).tumor_types)
    recipes = {baseline: f"demo_{baseline}" for baseline in BASELINES}
    every = (f"tumor_types=[{types}]", *STEPS)
    changes = {name: every if name == "report_only" else (*every, "max_mask_cases=10") for name in recipes}
    return train_and_evaluate(chain, release, out, recipes, task=None, changes=changes)
