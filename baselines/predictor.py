"""A trained network that maps a prepared case to probability maps, in memory that follows the organs it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rsuper_bench.baselines.checkpoint import WEIGHTS_FILE, load_into
from rsuper_bench.baselines.data import cut
from rsuper_bench.baselines.inputs import network_input, organ_numbers
from rsuper_bench.baselines.networks import Segmenter, build_model
from rsuper_bench.baselines.organ_gate import gated
from rsuper_bench.baselines.prepare import PreparedCase
from rsuper_bench.baselines.probability_map import ProbabilityMap
from rsuper_bench.baselines.recipe import load_recipe
from rsuper_bench.baselines.sliding_window import GrowingBox, Voxel, blended_slabs
from rsuper_bench.baselines.weights import RECIPE_FILE, read_weights
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import sha256_file
from rsuper_bench.benchmark.release import LabelMap


class Prediction(NamedTuple):
    """Of one case: a map and a score in [0, 1] for each tumor type of the recipe.

    The score is the maximum of the map, or what a classification head says where the recipe trains one.
    """

    maps: list[ProbabilityMap]
    scores: list[float]


class Predictor:
    """A trained network and its recipe.

    Raises:
        DataError: When the run has no weights, or they are not those of its recipe.
    """

    def __init__(self, run: Path, device: torch.device | str = "cpu") -> None:
        if not (run / WEIGHTS_FILE).exists():
            raise DataError.of(
                [Problem(str(run), f"no {WEIGHTS_FILE}", "a finished run", "Finish it with `train ... --resume`.")]
            )
        self.recipe = load_recipe(run / RECIPE_FILE)
        self.digest = sha256_file(run / WEIGHTS_FILE)
        self.device = torch.device(device)
        self.network: Segmenter = build_model(self.recipe, self.device).segmenter
        load_into(self.network, read_weights(run, self.recipe), str(run / WEIGHTS_FILE))
        self.network.eval()

    def __call__(self, case: PreparedCase, label_map: LabelMap) -> Prediction:
        """Tumor probabilities inside the organ, one map a tumor type of the recipe, and the score of each type.

        Windows without an organ of the recipe are left out where the organ masks of the release decide anyway.
        """
        recipe, shape = self.recipe, case.index.shape
        organs = organ_numbers(case.index, label_map, recipe)
        all_organs = [number for numbers in organs for number in numbers]
        kinds = len(recipe.tumor_types)

        def seen(origin: Voxel) -> Tensor:
            hu = cut(case.ct, origin, recipe.crop, recipe.window_hu[0])
            labels = cut(case.organs, origin, recipe.crop, 0)
            return network_input(hu, labels, case.index, label_map, recipe)

        def window(origin: Voxel) -> Tensor | None:
            labels = cut(case.organs, origin, recipe.crop, 0)
            wanted = recipe.organ_gate != "release" or np.isin(labels, all_organs).any()
            return seen(origin) if wanted else None

        maps = [ProbabilityMap(shape) for _ in range(kinds)]
        boxes = [
            GrowingBox.around(case.index.organ_boxes[n] for n in own if n in case.index.organ_boxes) for own in organs
        ]
        if recipe.organ_gate == "model":
            boxes = [GrowingBox() for _ in organs]
        for first, slab in blended_slabs(shape, recipe.crop, window, self._probabilities, device=self.device):
            labels = np.asarray(case.organs[..., first : first + slab.shape[-1]])
            for channel, (numbers, found) in enumerate(zip(organs, maps, strict=True)):
                own = slab[kinds + channel].cpu().numpy() if recipe.organ_gate == "model" else None
                found.add(first, gated(slab[channel].cpu().numpy(), own, np.isin(labels, numbers), recipe.organ_gate))
                if own is not None:
                    boxes[channel].add(first, own >= 0.5)
        if self.network.presence is None:
            return Prediction(maps, [min(found.largest, 1.0) for found in maps])
        return Prediction(maps, [self._presence(channel, box, shape, seen) for channel, box in enumerate(boxes)])

    def _probabilities(self, image: Tensor) -> Tensor:
        outputs = self.network(image)
        shown = [outputs.final, outputs.organs] if self.recipe.organ_gate == "model" else [outputs.final]
        return torch.cat(shown, 1).sigmoid_()

    @torch.inference_mode()
    def _presence(self, channel: int, box: GrowingBox, shape: Voxel, seen: Callable[[Voxel], Tensor]) -> float:
        """What the classification head says of crops that show the organ, as in training; the largest of several."""
        scores = [0.0]
        for origin in box.windows(shape, self.recipe.crop):
            logits = self.network(seen(origin)[None].to(self.device)).presence
            scores.append(float(logits[0, channel].sigmoid()))
        return max(scores)
