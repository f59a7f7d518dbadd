"""Learning curves of report_only from scratch: ``python docs/report_only_curves.py --out DIR [--record]``.

On synthetic phantoms of growing difficulty, with several seeds, for the paper's defaults and for what the demo recipe
changes. Measured is the mean AUROC over the tumor types on the **validation** split, with the averaged weights; no test
split is read. All labels are those that the rules extractor reads from the reports. A call that was stopped goes on;
``--collect`` trains nothing and takes the curves that are there. ``--record`` writes ``docs/report-only-curves.json``,
and from it the figure and the table of docs/report-only-learns.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from written import with_part

from rsuper_bench.baselines.predictor import Predictor
from rsuper_bench.baselines.prepare import PreparedCase, prepare
from rsuper_bench.baselines.recipe import Recipe, load_recipe
from rsuper_bench.baselines.store import Store
from rsuper_bench.baselines.train import train
from rsuper_bench.benchmark.records import Presence, Split
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.task import stated_presence
from rsuper_bench.cli import app

FOLDER = Path(__file__).parent
RECORD, FIGURE = FOLDER / "report-only-curves.json", FOLDER / "pictures" / "report-only-curves.svg"
PAGE = FOLDER / "report-only-learns.md"
DIFFICULTIES: dict[str, dict[str, Any]] = {
    "easy": {"lesions": {"contrast_hu": [70.0, 100.0], "attenuation": {"hypo": 0.5, "hyper": 0.5}}, "cyst_rate": {}},
    "demo": {},
    "hard": {
        "lesions": {
            "contrast_hu": [25.0, 45.0],
            "attenuation": {"hypo": 0.45, "hyper": 0.35, "mixed": 0.1, "iso": 0.1},
        },
        "cyst_rate": {"liver": 0.3, "kidney": 0.4},
    },
}
SETTINGS: dict[str, list[str]] = {
    "paper": [
        "weights={segmentation: 1.0, organs: 1.0, volume: 0.05, ball: 0.05, attenuation: 0.01}",
        "losses={segmentation: {}, volume: {output: final}, ball: {}, attenuation: {variant: mlp}}",
        "region_margin_mm=15.0",
        "organ_input=false",
        "initial_probability=0.5",
    ],
    "shipped": [],
    "shipped, ball over the crop": ["losses.ball.balance=crop"],
}
ONLY_IN = {"shipped, ball over the crop": ("demo",)}  # a question about one choice, asked once
SEEDS = 3
COLOURS = dict(zip(SETTINGS, ("#D55E00", "#0072B2", "#009E73"), strict=True))


def release_of(out: Path, name: str, cases: tuple[int, int]) -> Release:
    """Phantoms of one difficulty."""
    text = (files("rsuper_bench.dataset_builder") / "configs" / "phantom-demo.yaml").read_text(encoding="utf-8")
    config, change = yaml.safe_load(text), DIFFICULTIES[name]
    lesions = config["lesions"] | change.get("lesions", {})
    config |= change | {"lesions": lesions, "n_train": cases[0], "n_validation": cases[1], "n_test": 1}
    place = out / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "phantom.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    call = ["dataset", "build", "--source", "phantom", "--config", str(place / "phantom.yaml"), "--seed", "0"]
    app([*call, "--out", str(place / "release")], standalone_mode=False)
    return Release(place / "release")


def mean_auroc(predictor: Predictor, release: Release, store: Store) -> float:
    """Mean over the tumor types of the case AUROC on validation."""
    scores: dict[str, list[tuple[bool, float]]] = {}
    for index in store.indices(Split.VALIDATION):
        stored, whole = store.open(index), (slice(None),) * 3
        found = predictor(PreparedCase(index, stored.ct[whole], stored.organs[whole], None), release.label_map)
        for kind, score in zip(predictor.recipe.tumor_types, found.scores, strict=True):
            presence = stated_presence(index.record, kind, predictor.recipe.positive_kinds)
            if presence in (Presence.PRESENT, Presence.ABSENT):
                scores.setdefault(kind, []).append((presence is Presence.PRESENT, score))
    areas = []
    for rows in scores.values():
        positive = np.array([score for present, score in rows if present])
        negative = np.array([score for present, score in rows if not present])
        above = positive[:, None] > negative
        areas.append(float(np.mean(above + 0.5 * (positive[:, None] == negative))))
    return float(np.mean(areas))


def curve(out: Path, release: Release, store: Store, recipe: Recipe, every: int) -> list[float]:
    """Mean AUROC after every so many steps."""
    done = out / "curve.json"
    if done.exists() and _recipe(out)["stages"] == yaml.safe_load(recipe.to_yaml())["stages"]:
        return [float(value) for value in json.loads(done.read_text(encoding="utf-8"))]
    values = []
    for stop in range(every, recipe.steps + 1, every):
        run = train(store, recipe, out / "run", resume=True, stop_after=every)
        shown = out / f"step-{stop}"
        run.write_weights(shown)
        (shown / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
        values.append(mean_auroc(Predictor(shown), release, store))
    done.write_text(json.dumps(values), encoding="utf-8")
    return values


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--difficulties", nargs="+", choices=DIFFICULTIES, default=list(DIFFICULTIES))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=60)
    parser.add_argument("--cases", type=int, nargs=2, default=(120, 40), metavar=("TRAIN", "VALIDATION"))
    parser.add_argument("--collect", action="store_true", help="train nothing: take the finished curves in --out")
    parser.add_argument("--record", action="store_true", help="write JSON, figure and table into docs")
    arguments = parser.parse_args()
    if not arguments.collect:
        run(arguments)
    facts = collect(arguments.out, arguments.difficulties, arguments.settings, arguments.seeds)
    (arguments.out / "curves.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    if arguments.record:
        RECORD.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        draw(facts, FIGURE)
        PAGE.write_text(page_with(PAGE.read_text("utf-8"), facts), encoding="utf-8")


def run(arguments: argparse.Namespace) -> None:
    """Train what has no curve yet."""
    torch.set_num_threads(1)
    for difficulty in arguments.difficulties:
        release = release_of(arguments.out, difficulty, tuple(arguments.cases))
        base = load_recipe("demo_report_only")
        splits = (Split.TRAIN, Split.VALIDATION)
        store = prepare(release, base, arguments.out / difficulty / "store", splits=splits)
        for seed in range(arguments.seeds):
            for name in tried_in(difficulty, arguments.settings):
                stages = (
                    f"stages=[{{steps: {arguments.steps}, learning_rate: 0.01, warmup_steps: {arguments.steps // 10}}}]"
                )
                change = [*SETTINGS[name], stages, "cases=[{reports: 1}]", f"seed={seed}"]
                folder = folder_of(arguments.out, difficulty, name, seed)
                values = curve(folder, release, store, load_recipe("demo_report_only", change), arguments.every)
                print(difficulty, name, seed, [round(value, 3) for value in values], flush=True)


def tried_in(difficulty: str, settings: Iterable[str]) -> list[str]:
    """The settings that are tried on a difficulty."""
    return [name for name in settings if difficulty in ONLY_IN.get(name, DIFFICULTIES)]


def folder_of(out: Path, difficulty: str, setting: str, seed: int) -> Path:
    """Where one training is."""
    return out / difficulty / f"{setting.replace(' ', '-').replace(',', '')}-{seed}"


def collect(out: Path, difficulties: list[str], settings: list[str], seeds: int) -> dict[str, Any]:
    """Finished curves with what they were made with, as the runs noted it.

    Raises:
        SystemExit: There is none, or they differ in steps or cases.
    """
    rows, sizes, made = [], set(), {}
    for difficulty in difficulties:
        for name in tried_in(difficulty, settings):
            for seed in range(seeds):
                folder = folder_of(out, difficulty, name, seed)
                if not (folder / "curve.json").exists():
                    continue
                values = json.loads((folder / "curve.json").read_text("utf-8"))
                [stage] = _recipe(folder)["stages"]
                phantom = yaml.safe_load((out / difficulty / "phantom.yaml").read_text("utf-8"))
                cases = phantom["n_train"], phantom["n_validation"]
                sizes.add((stage["steps"], stage["learning_rate"], len(values), *cases))
                rows.append({"difficulty": difficulty, "setting": name, "seed": seed, "auroc": values})
                for session in json.loads((folder / "run" / "run.json").read_text("utf-8"))["sessions"]:
                    noted = {"date": session["started"][:10], **session["provenance"]}
                    for key in ("date", "device", "rsuper_bench", "python", "torch", "monai"):
                        made.setdefault(key, set()).add(noted[key])
    if len(sizes) != 1:
        raise SystemExit(
            f"{out}: curves of {len(sizes)} lengths or numbers of cases; expected one. Name another --out."
        )
    steps, rate, points, train_cases, validation_cases = next(iter(sizes))
    return {
        "what": "mean AUROC over liver, kidney and pancreas on the validation split of synthetic phantoms",
        "steps": [steps // points * (place + 1) for place in range(points)],
        "train_cases": train_cases,
        "validation_cases": validation_cases,
        "learning_rate": rate,
        "made": {key: sorted(values) for key, values in made.items()},
        "rows": rows,
    }


def _recipe(folder: Path) -> dict[str, Any]:
    """The recipe of a training as its folder has it."""
    return dict(yaml.safe_load((folder / "run" / "recipe.yaml").read_text("utf-8")))


def page_with(page: str, facts: dict[str, Any]) -> str:
    """The page with the table between its markers."""
    made = {key: ", ".join(values) for key, values in facts["made"].items()}
    done, planned = len(facts["rows"]), SEEDS * sum(len(tried_in(name, SETTINGS)) for name in DIFFICULTIES)
    lines = [
        *([f"**Unfinished:** {done} of {planned} trainings.", ""] if done < planned else []),
        f"{made['date']}; device {made['device']}, one thread; Python {made['python']}, torch {made['torch']},",
        f"MONAI {made['monai']}, rsuper-bench {made['rsuper_bench']}; {facts['train_cases']} training and",
        f"{facts['validation_cases']} validation cases; learning rate {facts['learning_rate']:g}; seeds 0, 1, ... Mean",
        "over the seeds, smallest and largest in brackets:",
        "",
        "| difficulty | setting | seeds | " + " | ".join(f"{step} steps" for step in facts["steps"]) + " |",
        "| --- | --- | ---: |" + " ---: |" * len(facts["steps"]),
    ]
    for difficulty, setting in dict.fromkeys((row["difficulty"], row["setting"]) for row in facts["rows"]):
        own = [r["auroc"] for r in facts["rows"] if (r["difficulty"], r["setting"]) == (difficulty, setting)]
        shown = [
            f"{np.mean(at):.2f}" + f" ({min(at):.2f}-{max(at):.2f})" * (len(own) > 1) for at in zip(*own, strict=True)
        ]
        lines.append(f"| {difficulty} | {setting} | {len(own)} | {' | '.join(shown)} |")
    lines += ["", f"After {facts['steps'][-1]} steps:", "", *comparisons(facts)]
    return with_part(page, "curves", "report_only_curves.py", "\n".join(lines))


def comparisons(facts: dict[str, Any]) -> list[str]:
    """Where the seeds of one setting all lie above those of another at the end."""
    last: dict[tuple[str, str], list[float]] = {}
    for row in facts["rows"]:
        last.setdefault((row["difficulty"], row["setting"]), []).append(row["auroc"][-1])
    lines = []
    for difficulty in dict.fromkeys(difficulty for difficulty, _ in last):
        settings = [setting for place, setting in last if place == difficulty]
        for one, two in combinations(settings, 2):
            high, low = last[difficulty, one], last[difficulty, two]
            if min(len(high), len(low)) < 2:
                said = "too few seeds to compare"
            elif min(high) > max(low) or min(low) > max(high):
                winner = one if min(high) > max(low) else two
                said = f"every seed of *{winner}* is above every seed of the other"
            else:
                said = "the ranges overlap"
            lines.append(f"- {difficulty}, *{one}* and *{two}*: {said}.")
    return lines


def draw(facts: dict[str, Any], path: Path) -> None:
    """One panel a difficulty: each seed thin, the mean thick."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    difficulties = list(dict.fromkeys(row["difficulty"] for row in facts["rows"]))
    with mpl.rc_context({"svg.hashsalt": "rsuper-bench", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(max(3.0 * len(difficulties) + 0.6, 5.2), 3.2), layout="constrained")
        panels = figure.subplots(1, len(difficulties), sharey=True, squeeze=False)[0]
        for panel, difficulty in zip(panels, difficulties, strict=True):
            for name, colour in COLOURS.items():
                own = [r["auroc"] for r in facts["rows"] if (r["difficulty"], r["setting"]) == (difficulty, name)]
                for values in own:
                    panel.plot(facts["steps"], values, color=colour, linewidth=0.7, alpha=0.5)
                if own:
                    panel.plot(facts["steps"], np.mean(own, 0), color=colour, linewidth=2, label=name)
            panel.axhline(0.5, color="#666666", linewidth=0.8, linestyle=":")
            panel.set(title=difficulty, xlabel="step", ylim=(0.3, 1.0))
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("mean AUROC, validation")
        # Not every setting is in every panel.
        lines = {
            line.get_label(): line for panel in panels for line in panel.get_lines() if line.get_label() in COLOURS
        }
        shown = [lines[name] for name in COLOURS if name in lines]
        figure.legend(handles=shown, loc="outside upper center", ncols=len(shown), frameon=False)
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
