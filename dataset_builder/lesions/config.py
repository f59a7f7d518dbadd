"""How synthetic tumors look."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt, field_validator, model_validator

from rsuper_bench.benchmark.records import Attenuation, Fraction, Record

Range = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]


class LesionConfig(Record):
    """Size, brightness and shape of tumors.

    Attributes:
        size_mm: Diameter of the sphere of the same volume, drawn log-uniform between the two.
        attenuation: Weight of each attenuation. ``iso`` tumors are the hard ones.
        contrast_hu: Distance to the organ of hypo, hyper and (both ways) mixed tumors.
        iso_contrast_hu: Distance of iso tumors, either way.
        irregularity: Amplitude of the surface noise, relative to the radius.
        elongation: Longest over shortest axis, at most.
        border_mm: Width of the soft edge.
        texture: Factor on the texture of the organ.
        share_at_border: Tumors whose centre lies at the surface of the organ.
        multifocal: Share of positive organs with more than one tumor.
        max_tumors: Most tumors in one organ.
        min_voxels: A smaller tumor cannot be seen on this grid and is grown to this.
    """

    size_mm: Range = (8.0, 60.0)
    attenuation: dict[Attenuation, Annotated[float, Field(ge=0)]] = {
        Attenuation.HYPO: 0.55,
        Attenuation.HYPER: 0.25,
        Attenuation.MIXED: 0.12,
        Attenuation.ISO: 0.08,
    }
    contrast_hu: Range = (25.0, 60.0)
    iso_contrast_hu: Range = (0.0, 6.0)
    irregularity: Annotated[float, Field(ge=0, le=0.5)] = 0.12
    elongation: Annotated[float, Field(ge=1, le=3)] = 1.35
    border_mm: Annotated[float, Field(ge=0, le=20)] = 1.5
    texture: Annotated[float, Field(ge=0, le=5)] = 1.3
    share_at_border: Fraction = 0.35
    multifocal: Fraction = 0.25
    max_tumors: Annotated[int, Field(ge=1, le=30)] = 6
    min_voxels: PositiveInt = 8

    @field_validator("size_mm", "contrast_hu", "iso_contrast_hu")
    @classmethod
    def _low_before_high(cls, value: Range) -> Range:
        if value[0] > value[1]:
            raise ValueError("the first of a range is its lower end")
        return value

    @model_validator(mode="after")
    def _can_be_drawn(self) -> LesionConfig:
        if self.size_mm[0] <= 0:
            raise ValueError("size_mm starts above 0")
        if Attenuation.UNKNOWN in self.attenuation:
            raise ValueError("a planted tumor has a known attenuation")
        if not sum(self.attenuation.values()) > 0:
            raise ValueError("attenuation needs a weight above 0")
        return self
