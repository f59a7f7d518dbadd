"""Weights on the Hub: a finished run -> a model repository, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rsuper_bench.baselines.checkpoint import WEIGHTS_FILE
from rsuper_bench.baselines.model_card import model_card
from rsuper_bench.baselines.predictor import Predictor
from rsuper_bench.baselines.train import DATA_FILE, RECIPE_FILE
from rsuper_bench.baselines.trained_on import TrainedOn
from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import pretty_json, read_model
from rsuper_bench.benchmark.hub_push import Target, hub_api, hub_errors, push_files
from rsuper_bench.benchmark.release import is_hub_name
from rsuper_bench.benchmark.report import EvaluationReport

CARD = "README.md"
FILES = (WEIGHTS_FILE, RECIPE_FILE, DATA_FILE)
REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,50}")


@dataclass(frozen=True)
class WeightsDeparture:
    """What would leave the machine: a name in the repository, and a path on disk or the bytes themselves."""

    repo: str
    files: dict[str, Path | bytes]
    private: bool

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of every file."""
        return {
            name: len(content) if isinstance(content, bytes) else content.stat().st_size
            for name, content in self.files.items()
        }


def plan_weights(
    run: Path, repo: str, evaluations: Sequence[EvaluationReport] = (), *, licence: str, private: bool = False
) -> WeightsDeparture:
    """Check a run and write its card.

    Args:
        run: A finished run. Weights, recipe and counts of training cases leave; losses and pictures do not.
        repo: ``org/name``.
        evaluations: Reports whose tables the card shows; they must be of these weights.
        licence: Of the weights, as the Hub writes it (``apache-2.0``, ``cc-by-nc-4.0``, ...).
        private: Make a new repository private.

    Raises:
        ConfigError: A malformed name or licence, or an evaluation of other weights; all problems at once.
        DataError: The run is not finished or does not fit together.
    """
    predictor = Predictor(run)  # the weights are those of the recipe
    trained = read_model(run / DATA_FILE, TrainedOn, DataError)
    problems = []
    if not REPO.fullmatch(repo) or len(repo) > 96:
        problems.append(Problem("--repo", ascii(repo[:100]), "org/name", "Correct the option."))
    if not LICENCE.fullmatch(licence):
        problems.append(Problem("--licence", ascii(licence[:60]), "an id like apache-2.0", "Correct the option."))
    problems += [
        Problem(
            f"--evaluation of {report.task}",
            f"of '{report.submission.method}', not of weights {predictor.digest[:12]}",
            "a report of a submission that these weights predicted",
            "Predict and evaluate with this run.",
        )
        for report in evaluations
        if f"Weights {predictor.digest[:12]}." not in report.submission.description
    ]
    if problems:
        raise ConfigError.of(problems)
    card = model_card(repo, predictor.recipe, trained, evaluations, licence=licence, weights=predictor.digest)
    files: dict[str, Path | bytes] = {
        CARD: card.encode(),
        WEIGHTS_FILE: run / WEIGHTS_FILE,
        RECIPE_FILE: predictor.recipe.to_yaml().encode(),
        DATA_FILE: pretty_json(trained.to_json()).encode(),
    }
    return WeightsDeparture(repo, files, private)


def push_weights(departure: WeightsDeparture) -> str:
    """Send weights in one commit.

    Returns:
        Address of the repository at that commit.

    Raises:
        ConfigError: The repository holds something else.
        DataError: The Hub refuses, or cannot be reached; a token is never part of the message.
    """
    api = hub_api()
    target = Target(departure.repo, "model", WEIGHTS_FILE, "earlier weights")
    with hub_errors(target.where):
        api.create_repo(departure.repo, repo_type="model", private=departure.private or None, exist_ok=True)
        commit = push_files(api, target, departure.files, message="Push weights with recipe and card")
    return f"{api.endpoint}/{departure.repo}/tree/{commit}"


def open_run(name: str | Path) -> Path:
    """Folder of a run: that folder, or ``org/name[@revision]`` of a model repository, downloaded once and then cached.

    Only weights, recipe and the counts of training cases are fetched. Nothing of them is executed.

    Raises:
        ConfigError: If it is neither.
        DataError: If the Hub does not give it.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    if not is_hub_name(str(name)):
        raise ConfigError.of(
            [Problem(str(name), "no such folder", "a run, or org/name[@revision] on the Hub", "Check the path.")]
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repo, _, revision = str(name).partition("@")
    try:
        return Path(snapshot_download(repo, revision=revision or None, allow_patterns=list(FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as cause:
        found = f"no such folder, and the Hub gave {type(cause).__name__}"
        fix = "Check the name, the revision, `hf auth login` and the network."
        raise DataError.of([Problem(str(name), found, "a run, or weights on the Hub", fix)]) from None
