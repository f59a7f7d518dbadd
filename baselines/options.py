"""Options inside a recipe: where crops are taken, what each loss does, how crops are changed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from rsuper_bench.benchmark.records import Fraction, Record

Weight = Annotated[float, Field(ge=0)]


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first value is the smaller one")
    return pair


Range = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_rising)]
Sigma = Annotated[float, Field(gt=0, le=2)]  # as far as the kernel of augment.py reaches


class CropShares(Record):
    """Where crops are taken (METHOD 8): share of crops on a tumor and on the organ; the rest is background."""

    tumor: Fraction
    organ: Fraction

    @model_validator(mode="after")
    def _at_most_all(self) -> CropShares:
        if self.tumor + self.organ > 1 + 1e-9:
            raise ValueError("tumor and organ sum to at most 1")
        return self


class CropPolicy(Record):
    """Crops by what is known of the drawn tumor type in the drawn case.

    Attributes:
        mask: Cases with a lesion mask of that type and a tumor in it; ``tumor`` is a tumor voxel.
        report: Cases whose report places a tumor; ``tumor`` is the reported region.
        unsized: The same where no reported tumor of that type has a size.
        negative: Cases without a tumor of that type (``tumor`` is not used).
        positives: Share of draws for which a case with a tumor of the drawn type is taken; null leaves it to chance.
    """

    mask: CropShares = CropShares(tumor=0.8, organ=0.1)
    report: CropShares = CropShares(tumor=0.8, organ=0.0)
    unsized: CropShares = CropShares(tumor=0.5, organ=0.3)
    negative: CropShares = CropShares(tumor=0.0, organ=0.8)
    positives: Fraction | None = None


class SegmentationOptions(Record):
    """Options of the segmentation loss (METHOD 2). ``background``: all known voxels, or only those of the organ."""

    balance: Literal["crop", "own"] = "crop"
    background: Literal["known", "organ"] = "known"
    tversky_weight: Weight = 1.0


class VolumeOptions(Record):
    """Options of the Volume Loss (METHOD 3).

    Attributes:
        target: ``reported``: the reported volume. ``noise_aware`` (*ours*): whatever lies between the quartiles of the
            true volume of tumors of that reported size, as they were measured (losses/volume.py).
        tolerance: Part of the reported volume that may be missing at no cost; of no use beside ``noise_aware``.
        output: Which output of the network is summed.
    """

    target: Literal["reported", "noise_aware"] = "reported"
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.1
    output: Literal["auxiliary", "final"] = "auxiliary"


class BallOptions(Record):
    """Options of the Ball Loss (METHOD 4).

    Attributes:
        margin: Relative uncertainty of the reported size.
        soft: Whether the halo has soft targets instead of being ignored (*ours*, losses/soft_shells.py).
        balance: As in the Ball Loss.
        background: Negatives are all ``known`` voxels, or only those of the grown ``region``.
        tversky_weight: As in the Ball Loss.
    """

    margin: Annotated[float, Field(ge=0, le=1)] = 0.25
    soft: bool = False
    balance: Literal["crop", "own"] = "crop"
    background: Literal["known", "region"] = "known"
    tversky_weight: Weight = 1.0


class AttenuationOptions(Record):
    """Options of the Attenuation Loss (METHOD 5). ``sign`` has no learned part; its margin is in organ deviations."""

    variant: Literal["mlp", "linear", "sign"] = "mlp"
    margin: Annotated[float, Field(ge=0)] = 1.0


class SliceOptions(Record):
    """What a reported image number does (METHOD 6).

    Attributes:
        use: Whether it limits where tumors are placed and counted, and chooses crops.
        negative: Whether the organ far from the reported slices is known negative where every tumor has one.
        margin_mm: How far that is, beyond the band of the reported slices.
    """

    use: bool = False
    negative: bool = True
    margin_mm: Annotated[float, Field(ge=0, le=200)] = 16.0


class MalignancyOptions(Record):
    """Options of the Malignancy Loss (METHOD 7). ``consistency`` weighs the mean |malignant + benign - lesion|."""

    balance: Literal["crop", "own"] = "crop"
    consistency: Weight = 0.0


class ContrastOptions(Record):
    """Options of contrastive pre-training (contrast.py)."""

    temperature: PositiveFloat = 0.1


class LossOptions(Record):
    """Options of every term, and whether a reported tumor without a size supervises any (else its place is unknown)."""

    segmentation: SegmentationOptions = SegmentationOptions()
    volume: VolumeOptions = VolumeOptions()
    ball: BallOptions = BallOptions()
    attenuation: AttenuationOptions = AttenuationOptions()
    slices: SliceOptions = SliceOptions()
    unsized: bool = True
    malignancy: MalignancyOptions = MalignancyOptions()
    contrast: ContrastOptions = ContrastOptions()


class Augmentation(Record):
    """Augmentation on the training device (METHOD 8, augment.py); each intensity change has its own ``chance``."""

    rotation_chance: Fraction = 0.4
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 30.0
    chance: Fraction = 0.3
    brightness: Range = (0.7, 1.3)
    contrast: Range = (0.7, 1.3)
    shift: Annotated[float, Field(ge=0)] = 0.1
    gamma: Range = (0.7, 1.5)
    blur_voxels: Annotated[tuple[Sigma, Sigma], AfterValidator(_rising)] = (0.5, 1.5)
    noise: Annotated[float, Field(ge=0)] = 0.1
