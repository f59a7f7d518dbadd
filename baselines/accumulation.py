"""The gradient of a step, computed on all of its crops at once or on a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rsuper_bench.baselines.data import Batch
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
        losses_of: Model and batch -> losses; it may call the model on ``batch.image`` alone.
        parts: In how many parts.
        seed: Of the noise in the network.
    """
    torch.manual_seed(seed)
    if parts == 1:
        losses = losses_of(model, batch)
        losses.loss.backward()  # type: ignore[no-untyped-call]
        return losses
    images = batch.image.chunk(parts)
    with torch.no_grad():
        answers = [_answer(model, image, seed + number) for number, image in enumerate(images)]
    joined = _joined(answers)
    losses = losses_of(_Answered(model, batch.image, joined), batch)
    losses.loss.backward()  # type: ignore[no-untyped-call]
    first = 0
    for number, image in enumerate(images):
        outputs = _answer(model, image, seed + number)
        pairs = {
            id(tensor): (tensor, whole.grad[first : first + len(image)])
            for tensor, whole in zip(outputs, joined, strict=True)
            if isinstance(whole, Tensor) and whole.grad is not None
        }
        first += len(image)
        if pairs:
            tensors, gradients = zip(*pairs.values(), strict=True)
            torch.autograd.backward(tensors, gradients)
    return losses


class _Answered(Model):
    """Stands for a model whose answer to one image is known already."""

    def __init__(self, model: Model, image: Tensor, outputs: Outputs) -> None:
        torch.nn.Module.__init__(self)
        self.__dict__["_own"] = (model, image, outputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_own"][0], name)

    def forward(self, image: Tensor) -> Outputs:
        _, known, outputs = self.__dict__["_own"]
        if image is not known:
            raise ValueError("with accumulate above 1 an objective may show the model batch.image only")
        answer: Outputs = outputs
        return answer


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
