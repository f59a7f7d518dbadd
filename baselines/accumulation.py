"""The gradient of a step, computed on all of its crops at once or on a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rsuper_bench.baselines.batch import Batch
from rsuper_bench.baselines.networks import Model, Outputs


class Losses(NamedTuple):
    """The weighted sum, and each term as a scalar."""

    loss: Tensor
    terms: dict[str, Tensor]


def backward(
    model: Model, batch: Batch, losses_of: Callable[[Model, Batch], Losses], *, parts: int, seed: int
) -> Losses:
    """Add the gradient of a loss to the parameters of a model.

    With several parts the network sees one after the other, first without keeping what a gradient needs; the loss is
    then computed on the joined outputs of all crops, and each part is computed again to carry its gradient on. So the
    memory is that of one part, the time about a third more, and **every** loss is that of the whole batch: the mean
    over supervised samples as well as Tversky and rank terms, which no sum over parts can give. What is not equal:
    the order of float additions, and the noise of dropout layers.

    Args:
        model: The model; the network must treat crops one by one (instance, layer or group normalisation).
        batch: Crops of this process.
        losses_of: Model and batch -> losses. The images it shows the model need no gradient.
        parts: In how many parts.
        seed: Of the noise in the network.
    """
    torch.manual_seed(seed)
    if parts == 1:
        losses = losses_of(model, batch)
        losses.loss.backward()  # type: ignore[no-untyped-call]
        return losses
    stand_in = _InParts(model, parts, seed)
    losses = losses_of(stand_in, batch)
    losses.loss.backward()  # type: ignore[no-untyped-call]
    stand_in.carry_on()
    return losses


class _Answer(NamedTuple):
    """An image in parts, the seed of each part's noise, and the joined outputs, which collect a gradient."""

    images: tuple[Tensor, ...]
    seeds: range
    outputs: Outputs


class _InParts(Model):
    """Answers like a model, part by part and without a graph; the gradient of an answer is carried on afterwards."""

    def __init__(self, model: Model, parts: int, seed: int) -> None:
        torch.nn.Module.__init__(self)
        self.__dict__["_own"] = (model, parts, seed, [])  # not a part of this module: its parameters are the model's

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_own"][0], name)

    def forward(self, image: Tensor) -> Outputs:
        model, parts, seed, answers = self.__dict__["_own"]
        images = image.chunk(parts)
        seeds = range(seed + parts * len(answers), seed + parts * len(answers) + len(images))
        with torch.no_grad():
            outputs = _joined([_answer(model, *part) for part in zip(images, seeds, strict=True)])
        answers.append(_Answer(images, seeds, outputs))
        return outputs

    def carry_on(self) -> None:
        """Compute each part once more, with a graph, and add its gradient to the parameters."""
        model, _, _, answers = self.__dict__["_own"]
        for images, seeds, joined in answers:
            wanted = {
                id(whole): (place, whole.grad)
                for place, whole in enumerate(joined)
                if isinstance(whole, Tensor) and whole.grad is not None
            }
            if not wanted:
                continue
            first = 0
            for image, seed in zip(images, seeds, strict=True):
                outputs = _answer(model, image, seed)
                tensors = [tensor for place, _ in wanted.values() if (tensor := outputs[place]) is not None]
                torch.autograd.backward(tensors, [grad[first : first + len(image)] for _, grad in wanted.values()])
                first += len(image)


def _answer(model: Model, image: Tensor, seed: int) -> Outputs:
    torch.manual_seed(seed)
    outputs: Outputs = model(image)
    return outputs


def _joined(answers: Sequence[Outputs]) -> Outputs:
    """Outputs of all parts as one, each a leaf that collects its gradient; what is one tensor in a part stays one."""
    made: dict[int, Any] = {}
    for values in zip(*answers, strict=True):
        if id(values[0]) not in made:
            made[id(values[0])] = None if values[0] is None else torch.cat(values).requires_grad_()
    return Outputs(*(made[id(value)] for value in answers[0]))
