"""Publish finished studies: ``python docs/make_results.py [STUDY_FOLDER ...]``.

Of each folder that ``rsuper-bench study NAME --out FOLDER`` has filled, ``docs/results/NAME.json`` keeps the study, its
results and what it was trained with. Pictures and the part of docs/results.md between the markers are then made of
these files alone, so that no figure is typed by hand. Without a folder only that is done again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from written import with_part

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem, RsuperBenchError
from rsuper_bench.benchmark.files import pretty_json, read_text, write_text
from rsuper_bench.study.config import StudyConfig, load_study, shipped_studies
from rsuper_bench.study.figures import write_figures
from rsuper_bench.study.grid import runs_of
from rsuper_bench.study.results import StudyResults
from rsuper_bench.study.run import CONFIG_FILE, is_done
from rsuper_bench.study.write import RESULTS_FILE, results_markdown

FOLDER = Path(__file__).parent
RECORDS, PAGE = FOLDER / "results", FOLDER / "results.md"


def main() -> None:
    """Record the folders that the command line names, then write pictures and page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="STUDY_FOLDER")
    parser.add_argument("--note", help="what a reader must know of this one study, such as what was chosen before it")
    arguments = parser.parse_args()
    if arguments.note is not None and len(arguments.folders) != 1:
        parser.error("--note belongs to one folder")
    try:
        records = [record_of(folder, arguments.note) for folder in arguments.folders]
        for record in records:
            write_text(RECORDS / f"{record['study']['name']}.json", pretty_json(record))
        for path in sorted(RECORDS.glob("*.json")):
            draw(json.loads(read_text(path)))
        write_text(PAGE, page_with(read_text(PAGE), load_records()))
    except RsuperBenchError as error:
        raise SystemExit(str(error)) from None


def record_of(folder: Path, note: str | None) -> dict[str, Any]:
    """What is kept of a study.

    Args:
        folder: The ``--out`` of the study.
        note: Stands above its figures; None keeps the one that was recorded before.

    Raises:
        ConfigError: The study is not one that ships, so that nobody could repeat it by its name.
    """
    study = StudyConfig.model_validate_json(read_text(folder / CONFIG_FILE))
    results = StudyResults.model_validate_json(read_text(folder / RESULTS_FILE))
    if study.name not in shipped_studies() or load_study(study.name) != study:
        fix = "Ship its YAML file in src/rsuper_bench/study/configs/ as it was run."
        raise ConfigError.of([Problem(str(folder), f"study '{study.name}'", "a study that ships, unchanged", fix)])
    finished = [run.name for run in runs_of(study) if is_done(folder, run)]
    if len(finished) != results.done:
        fix = f"Run rsuper-bench study {study.name} --out {folder} --collect first."
        raise DataError.of([Problem(RESULTS_FILE, f"{results.done} runs", f"the {len(finished)} finished ones", fix)])
    path = RECORDS / f"{study.name}.json"
    if note is None and path.exists():
        note = json.loads(read_text(path)).get("note")
    return {
        "note": note or "",
        "trained": trained(folder, finished),
        "study": study.model_dump(mode="json"),
        "results": results.model_dump(mode="json"),
    }


def trained(folder: Path, runs: list[str]) -> dict[str, list[str]]:
    """Dates, devices and versions that the trainings of a study noted."""
    facts: dict[str, set[str]] = {}
    for name in runs:
        for session in json.loads(read_text(folder / "runs" / name / "run" / "run.json"))["sessions"]:
            found = session["provenance"]
            kept = {key: found[key] for key in ("device", "rsuper_bench", "python", "torch", "monai", "numpy")}
            for key, value in {"date": session["started"][:10], **kept}.items():
                facts.setdefault(key, set()).add(value)
    return {key: sorted(values) for key, values in facts.items()}


def load_records() -> list[dict[str, Any]]:
    """All that is kept, the earliest study first."""
    records = [json.loads(read_text(path)) for path in RECORDS.glob("*.json")]
    return sorted(records, key=lambda record: (record["trained"]["date"][0], record["study"]["name"]))


def draw(record: dict[str, Any]) -> None:
    """Pictures of a study, ``results/NAME-FIGURE.png``; those of before go."""
    study = StudyConfig.model_validate(record["study"])
    for old in RECORDS.glob(f"{study.name}-*.png"):
        old.unlink()
    with tempfile.TemporaryDirectory() as place:
        for name in write_figures(StudyResults.model_validate(record["results"]), study, Path(place)):
            (RECORDS / f"{study.name}-{name}.png").write_bytes((Path(place) / f"{name}.png").read_bytes())


def page_with(page: str, records: list[dict[str, Any]]) -> str:
    """The page with a section a study between the markers."""
    sections = "\n".join(section(record) for record in records)
    return with_part(page, "studies", "make_results.py", f"\n{sections}")


def section(record: dict[str, Any]) -> str:
    """One study: how to repeat it, what it was trained with, and its results."""
    study = StudyConfig.model_validate(record["study"])
    results = StudyResults.model_validate(record["results"])
    made = {key: ", ".join(values) for key, values in record["trained"].items()}
    names = ("exchange", "types", "gain", "ablation", "settings")
    pictures = {name: f"results/{study.name}-{name}.png" for name in names}
    pictures = {name: target for name, target in pictures.items() if (FOLDER / target).is_file()}
    lines = [
        f"## {study.name}",
        "",
        f"```bash\nrsuper-bench study {study.name} --out {study.name}\n```",
        "",
        f"{made['date']}; device {made['device']}; Python {made['python']}, torch {made['torch']},",
        f"MONAI {made['monai']}, rsuper-bench {made['rsuper_bench']};",
        f"seeds {', '.join(map(str, study.seeds))}; {results.done} of {results.runs} trainings.",
        f"[All figures as JSON]({RECORDS.name}/{study.name}.json).",
        "",
        *([record["note"], ""] if record["note"] else []),
    ]
    return "\n".join(lines) + "\n" + results_markdown(results, study, pictures, level=3)


if __name__ == "__main__":
    main()
