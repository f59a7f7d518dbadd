"""Learning curves of report_only from scratch: ``python docs/report_only_curves.py --out DIR [--record]``.

On synthetic phantoms of growing difficulty, with several seeds, for the paper's defaults and for what the demo recipe
changes. Measured is the mean AUROC over the tumor types on the **validation** split, with the averaged weights; no test
split is read. ``--record`` writes ``docs/report-only-curves.json`` and the figure of docs/report-only-learns.md.
A call that was stopped goes on. All labels are those that the rules extractor reads from the reports.
"""

from __future__ import annotations

import argparse
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

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
    if done.exists():
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
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=60)
    parser.add_argument("--cases", type=int, nargs=2, default=(120, 40), metavar=("TRAIN", "VALIDATION"))
    parser.add_argument("--record", action="store_true", help="write JSON and figure into docs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for difficulty in arguments.difficulties:
        release = release_of(arguments.out, difficulty, tuple(arguments.cases))
        base = load_recipe("demo_report_only")
        splits = (Split.TRAIN, Split.VALIDATION)
        store = prepare(release, base, arguments.out / difficulty / "store", splits=splits)
        for seed in range(arguments.seeds):
            for name in arguments.settings:
                stages = (
                    f"stages=[{{steps: {arguments.steps}, learning_rate: 0.01, warmup_steps: {arguments.steps // 10}}}]"
                )
                change = [*SETTINGS[name], stages, "cases=[{reports: 1}]", f"seed={seed}"]
                folder = arguments.out / difficulty / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
                values = curve(folder, release, store, load_recipe("demo_report_only", change), arguments.every)
                rows.append({"difficulty": difficulty, "setting": name, "seed": seed, "auroc": values})
                print(difficulty, name, seed, [round(value, 3) for value in values], flush=True)
    facts = {
        "what": "mean AUROC over liver, kidney and pancreas on the validation split of synthetic phantoms",
        "steps": list(range(arguments.every, arguments.steps + 1, arguments.every)),
        "train_cases": arguments.cases[0],
        "validation_cases": arguments.cases[1],
        "learning_rate": 0.01,
        "rows": rows,
    }
    (arguments.out / "curves.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    if arguments.record:
        RECORD.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        draw(facts, FIGURE)


def draw(facts: dict[str, Any], path: Path) -> None:
    """One panel a difficulty: each seed thin, the mean thick."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    difficulties = list(dict.fromkeys(row["difficulty"] for row in facts["rows"]))
    with mpl.rc_context({"svg.hashsalt": "rsuper-bench", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(3.2 * len(difficulties) + 0.6, 3.2), layout="constrained")
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
        panels[-1].legend(frameon=False, loc="lower right")
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
