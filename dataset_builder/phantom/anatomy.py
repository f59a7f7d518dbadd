"""A person: where every organ lies, drawn as tissue codes on any grid.

The plan is one adult body in millimetres (x to the patient's right, y to the front, z to the head, z = 0 between the
kidneys). A patient is the plan with every organ moved, turned, resized and made irregular at random.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.tumor_types import Sex
from rsuper_bench.dataset_builder.phantom.shapes import Box, Ellipsoid, Field, Grid, Shape, SmoothNoise, Tube
from rsuper_bench.dataset_builder.phantom.tissues import CODE

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """One shape of an organ.

    Attributes:
        tissue: Code name; a tube of several tissues lists them from its first to its last point in ``course``.
        irregular: Amplitude of the surface noise, relative to the radius.
        pose: How much of the configured jitter applies (0 keeps the plan).
        free: Tissues it may replace, by name.
    """

    tissue: str
    shape: Shape
    irregular: float = 0.10
    pose: float = 1.0
    free: tuple[str, ...] = ("visceral_fat",)
    course: tuple[tuple[str, float], ...] = ()
    group: str | None = None


_CHEST = ("visceral_fat", "lung_left", "lung_right")

# In order of precedence: a part only takes voxels that no earlier part has taken.
_VESSELS = (
    Part("aorta", Tube(((-14, -30, 260), (-13, -30, 60), (-8, -30, -62)), (12.5, 11, 9)), 0.04, 0.5, _CHEST),
    Part("inferior_vena_cava", Tube(((22, -18, 125), (21, -26, 40), (16, -30, -66)), (12.5, 11.5, 11)), 0.08, 0.5),
    Part("iliac_vessels", Tube(((-8, -30, -60), (-42, -22, -125), (-62, 20, -205)), (8, 7, 6)), 0.05, 0.5),
    Part("iliac_vessels", Tube(((6, -30, -60), (42, -22, -125), (62, 20, -205)), (8, 7, 6)), 0.05, 0.5),
)
_UPPER = (
    Part(
        "esophagus",
        Tube(((-4, -8, 260), (-6, -8, 150), (-14, 2, 112), (-24, 6, 98)), (9, 9.5, 9.5, 9)),
        0.08,
        0.6,
        _CHEST,
    ),
    Part("adrenal_gland_right", Tube(((34, -34, 72), (38, -44, 52)), (3.5, 4.5)), 0.1, 0.6, group="right_kidney"),
    Part("adrenal_gland_right", Tube(((34, -34, 72), (30, -46, 54)), (3.5, 4)), 0.1, 0.6, group="right_kidney"),
    Part("adrenal_gland_left", Tube(((-34, -26, 66), (-44, -38, 48)), (4, 4.5)), 0.1, 0.6, group="left_kidney"),
    Part("adrenal_gland_left", Tube(((-34, -26, 66), (-28, -40, 46)), (4, 4.5)), 0.1, 0.6, group="left_kidney"),
    Part(
        "pancreas_body",
        Tube(
            ((32, 12, -8), (30, 18, 12), (8, 26, 24), (-22, 22, 34), (-50, 2, 44), (-78, -18, 52)),
            (13, 15, 10, 11, 11, 9),
        ),
        0.12,
        course=(("pancreas_head", 0.34), ("pancreas_body", 0.74), ("pancreas_tail", 1.0)),
    ),
    Part(
        "duodenum",
        Tube(((30, 42, 26), (52, 26, 18), (53, 8, -26), (14, -8, -34), (-20, 2, -18)), (13, 13, 12, 11, 11)),
        0.12,
    ),
    Part("gallbladder", Ellipsoid((58, 52, 12), (15, 17, 29), (-25, 12, 0)), 0.06),
    Part("kidney_right", Ellipsoid((66, -42, 2), (27, 25, 54), (8, 12, 0)), 0.06, group="right_kidney"),
    Part("kidney_left", Ellipsoid((-66, -40, 14), (27, 25, 55), (8, -12, 0)), 0.06, group="left_kidney"),
    Part("spleen", Ellipsoid((-102, -32, 78), (29, 52, 50), (-18, -12, 14)), 0.10),
    Part(
        "stomach",
        Tube(
            ((-24, 6, 100), (-62, -2, 116), (-72, 24, 78), (-48, 50, 40), (-6, 54, 24), (28, 42, 26)),
            (13, 33, 32, 25, 18, 13),
        ),
        0.10,
    ),
    Part("liver", Ellipsoid((70, 6, 62), (78, 92, 82), (0, -14, 0), 2.3), 0.07, free=("visceral_fat",), group="liver"),
    Part("liver", Ellipsoid((0, 48, 88), (78, 40, 36), (0, 14, 0)), 0.10, free=("visceral_fat",), group="liver"),
)
_LIVER_VESSELS = tuple(
    Part("liver_vessels", shape, 0.06, 1.0, ("liver",), group="liver")
    for shape in (
        Tube(((8, 12, 34), (30, 6, 52), (62, 4, 66), (104, -8, 78)), (7, 7, 5, 2.5)),
        Tube(((40, 6, 58), (18, 36, 82), (-20, 52, 92)), (5.5, 4.5, 2.5)),
        Tube(((22, -14, 118), (62, -16, 104), (108, -20, 84)), (6, 4.5, 2)),
        Tube(((22, -14, 118), (52, 20, 106), (84, 52, 84)), (5.5, 4.5, 2)),
        Tube(((22, -12, 118), (6, 22, 106), (-14, 48, 98)), (5, 4, 2)),
    )
)
_BOWEL = (
    Part(
        "colon",
        Tube(
            ((98, 8, -118), (108, -8, -60), (106, 4, -12), (66, 62, -24), (0, 74, -34), (-62, 60, -4), (-108, 2, 30),
             (-114, -12, -40), (-104, 0, -112), (-62, 22, -142), (-16, -6, -128), (2, -44, -160), (0, -46, -225)),
            (24, 24, 22, 20, 19, 19, 20, 17, 16, 15, 15, 17, 15),
        ),
        0.14,
    ),
)  # fmt: skip
_PELVIS = {
    Sex.MALE: (
        Part("prostate", Ellipsoid((0, 2, -214), (25, 19, 20)), 0.07, 0.7),
        Part("urinary_bladder", Ellipsoid((0, 30, -172), (42, 33, 29), (-10, 0, 0)), 0.05, 0.7),
    ),
    Sex.FEMALE: (
        Part("uterus", Tube(((0, -8, -196), (0, -4, -172), (2, 12, -146), (4, 24, -132)), (13, 15, 24, 22)), 0.08, 0.7),
        Part("urinary_bladder", Ellipsoid((0, 42, -188), (40, 27, 25), (-10, 0, 0)), 0.05, 0.7),
    ),
}
_BONES = (
    *(
        Part("cortical_bone", shape, 0.08, 0.3, ("muscle", "visceral_fat", "subcutaneous_fat"))
        for side in (1, -1)
        for shape in (
            Ellipsoid((side * 92, 0, -206), (24, 24, 24)),
            Tube(((side * 34, -66, -120), (side * 84, -50, -110), (side * 118, 10, -92)), (11, 8, 7)),
            Tube(((side * 44, -64, -140), (side * 84, -40, -140), (side * 112, 12, -116)), (10, 7, 6)),
            Tube(((side * 118, 10, -92), (side * 112, 14, -130), (side * 92, 10, -185)), (7, 9, 17)),
            Tube(((side * 88, 22, -200), (side * 40, 52, -208), (0, 54, -214)), (11, 9, 10)),
        )
    ),
)
_MUSCLES = (
    *(
        Part("muscle", shape, 0.08, 0.4, ("visceral_fat", "subcutaneous_fat"))
        for side in (1, -1)
        for shape in (
            Tube(
                ((side * 30, -52, 40), (side * 42, -46, -40), (side * 56, -24, -120), (side * 80, 14, -200)),
                (10, 20, 22, 16),
            ),
            Ellipsoid((side * 36, -88, 0), (32, 20, 330), (0, 0, side * -14), 3.0),
            Ellipsoid((side * 78, -88, -200), (62, 34, 90), (0, 0, side * 30)),
        )
    ),
)

_BODY = Ellipsoid((0, 0, 0), (166, 112, 2000), exponent=2.4)
_VERTEBRA_MM = 36.0


@dataclass(frozen=True)
class Person:
    """All that makes one patient's anatomy; the same person on another grid looks the same.

    Attributes:
        parts: Organs in order of precedence, already posed.
        noises: Surface noise of each part.
        fat_mm: Thickness of the subcutaneous fat.
        bowel: Where loops of small bowel lie in the mesentery.
        dome: Irregularity of the diaphragm.
    """

    sex: Sex
    parts: tuple[Part, ...]
    noises: tuple[SmoothNoise, ...]
    fat_mm: float
    bowel: SmoothNoise
    filling: SmoothNoise
    level_mm: float


def draw_person(rng: np.random.Generator, sex: Sex, *, pose_mm: float, size_jitter: float) -> Person:
    """Draw a patient: the plan with every organ moved (mm), resized (log standard deviation) and made irregular."""
    plan = (*_VESSELS, *_UPPER, *_LIVER_VESSELS, *_PELVIS[sex], *_BOWEL, *_BONES, *_MUSCLES)
    shifts: dict[str, NDArray[np.float64]] = {}
    factors: dict[str, float] = {}
    parts = []
    noises = []
    for index, part in enumerate(plan):
        group = part.group or f"{part.tissue}{index}"
        if group not in shifts:
            shifts[group] = np.clip(rng.standard_normal(3), -2.5, 2.5) * pose_mm * part.pose
            factors[group] = float(np.exp(np.clip(rng.standard_normal(), -2.5, 2.5) * size_jitter * part.pose))
        posed = _pose(part.shape, shifts[group], factors[group], rng.standard_normal(3) * pose_mm * part.pose)
        parts.append(replace(part, shape=posed))
        low, high = posed.bounds(1.4)
        # Bumps of about the size of the organ's smaller radius; finer ones vanish on coarse grids.
        smallest = min(posed.radii)
        noises.append(SmoothNoise.draw(rng, low, high, max(1.3 * smallest, 12.0)))
    return Person(
        sex=sex,
        parts=tuple(parts),
        noises=tuple(noises),
        fat_mm=float(rng.uniform(8, 30)),
        bowel=SmoothNoise.draw(rng, (-140, -100, -230), (140, 110, 60), 26.0),
        filling=SmoothNoise.draw(rng, (-150, -110, -240), (150, 115, 140), 24.0),
        level_mm=float(rng.normal(0, 8)),
    )


def _pose(shape: Shape, shift: NDArray[np.float64], factor: float, wobble: NDArray[np.float64]) -> Shape:
    if isinstance(shape, Ellipsoid):
        x, y, z = (np.asarray(shape.center) + shift).tolist()
        a, b, c = (np.asarray(shape.radii) * factor * (1 + wobble / 200)).tolist()
        tilt = tuple((np.asarray(shape.tilt_deg) + wobble).tolist())
        return replace(shape, center=(x, y, z), radii=(a, b, c), tilt_deg=(tilt[0], tilt[1], tilt[2]))
    points = tuple((p[0], p[1], p[2]) for p in (np.asarray(shape.points) + shift).tolist())
    return Tube(points, tuple(radius * factor for radius in shape.radii))


def draw_codes(person: Person, grid: Grid) -> Codes:
    """Draw the person as tissue codes, ``(X, Y, Z)`` uint8."""
    codes = _trunk(person, grid)
    for part, noise in zip(person.parts, person.noises, strict=True):
        _draw_part(codes, grid, part, noise)
    _inside_of_organs(codes, person, grid)
    return codes


def _trunk(person: Person, grid: Grid) -> Codes:
    """Skin, fat, wall muscle, cavity, spine, ribs, lungs, small bowel: what fills the grid before the organs."""
    # The trunk is a cylinder: one slice, then the things that change along z.
    flat = Box((slice(0), slice(0), slice(0)), (grid.axes[0], grid.axes[1], np.zeros(1, np.float32)))
    outline = _BODY.field(flat)[:, :, 0]
    depth_mm = (1 - outline) * 125
    slab = np.full(outline.shape, CODE["air"], np.uint8)
    slab[depth_mm > 0] = CODE["skin"]
    slab[depth_mm > 2.5] = CODE["subcutaneous_fat"]
    wall = 2.5 + person.fat_mm
    slab[depth_mm > wall] = CODE["muscle"]
    slab[depth_mm > wall + 11] = CODE["visceral_fat"]
    codes = np.repeat(slab[:, :, None], grid.shape[2], axis=2)
    _draw_lungs(codes, depth_mm[:, :, None] - wall - 11, person, grid)
    _draw_ribs(codes, depth_mm[:, :, None] - wall, grid)
    _draw_spine(codes, person, grid)
    box = grid.box((-125, -60, -215), (125, 100, 30))
    if box is not None:
        part = codes[box.slices]
        bx, by, bz = box.open_mesh
        mesentery = (bx / 100) ** 2 + ((by - 18) / 62) ** 2 + ((bz + 85) / 95) ** 2 < 1
        part[mesentery & (part == CODE["visceral_fat"]) & (person.bowel.field(box) > -0.05)] = CODE["bowel"]
    return codes


def _draw_lungs(codes: Codes, depth_mm: Field, person: Person, grid: Grid) -> None:
    box = grid.box((-200, -150, 20), (200, 150, 400))
    if box is None:
        return
    x, y, z = box.open_mesh
    part = codes[box.slices]
    dome = np.where(x > 0, np.float32(150), np.float32(138)) + person.level_mm
    middle = np.where(x > 0, np.float32(66), np.float32(-66))
    surface = dome - 85 * (np.sqrt(((x - middle) / 88) ** 2 + ((y + 4) / 105) ** 2 + 0.05) - 0.22)
    surface = np.maximum(surface, 45 + np.float32(0.25) * np.clip(y + 60, 0, None))
    chest = (depth_mm[box.slices[:2]] > 2) & (part == CODE["visceral_fat"]) & (z > surface + 4)
    mediastinum = np.abs(x + 6) < 26 + 16 * (y > -5)
    part[chest & ~mediastinum & (x > 0)] = CODE["lung_right"]
    part[chest & ~mediastinum & (x <= 0)] = CODE["lung_left"]
    heart = ((x + 26) / 62) ** 2 + ((y - 30) / 46) ** 2 + ((z - 188) / 48) ** 2 < 1
    part[heart & ((part == CODE["lung_left"]) | (part == CODE["lung_right"]) | (part == CODE["visceral_fat"]))] = CODE[
        "heart"
    ]


def _draw_ribs(codes: Codes, depth_mm: Field, grid: Grid) -> None:
    box = grid.box((-200, -150, -10), (200, 150, 400))
    if box is None:
        return
    x, y, z = box.open_mesh
    part = codes[box.slices]
    # Ribs fall towards the front and end at the costal margin.
    turn = np.cos((z + 0.55 * y) * np.float32(2 * np.pi / 30))
    margin = 8 + 0.95 * np.clip(y + 20, 0, None)
    depth_mm = depth_mm[box.slices[:2]]
    cage = (depth_mm > 1.5) & (depth_mm < 10) & (np.abs(x) > 18) & (z > margin)
    part[cage & (turn > 0.55) & (part == CODE["muscle"])] = CODE["cortical_bone"]


def _draw_spine(codes: Codes, person: Person, grid: Grid) -> None:
    box = grid.box((-60, -125, -260), (60, -10, 400))
    if box is None:
        return
    x, y, z = box.open_mesh
    part = codes[box.slices]
    phase = np.abs(np.mod(z + person.level_mm, np.float32(_VERTEBRA_MM)) - _VERTEBRA_MM / 2) / (_VERTEBRA_MM / 2)
    sacrum = z < -105
    bend = np.where(sacrum, (z + 105) * np.float32(0.28), 0)
    width = np.where(sacrum, np.float32(44) + (z + 105) * np.float32(0.26), 24 - 3 * (1 - phase))
    body = np.sqrt((x / np.maximum(width, 8)) ** 2 + ((y + 56 - bend) / 19) ** 2)
    inside = (body < 1) & (z > -225)
    part[inside & (body < 0.86)] = CODE["vertebra"]
    part[inside & (body >= 0.86)] = CODE["cortical_bone"]
    part[inside & (phase < 0.22) & ~sacrum] = CODE["disc"]
    lamina = ((x / 15) ** 2 + ((y + 86) / 14) ** 2 < 1) & ~sacrum
    part[lamina] = CODE["cortical_bone"]
    canal = ((x / 9) ** 2 + ((y + 84) / 8) ** 2 < 1) & ~sacrum
    part[canal] = CODE["spinal_canal"]
    process = (np.abs(x) < 4) & (y < -96) & (y > -116) & (phase > 0.4) & ~sacrum
    part[process & (part != CODE["air"]) & (part != CODE["skin"])] = CODE["cortical_bone"]
    wing = (np.abs(x) < 42) & (np.abs(y + 78) < 5) & (phase > 0.7) & ~sacrum
    part[wing & (part == CODE["visceral_fat"])] = CODE["cortical_bone"]


def _draw_part(codes: Codes, grid: Grid, part: Part, noise: SmoothNoise) -> None:
    box = grid.box(*part.shape.bounds(1.35))
    if box is None:
        return
    course: Field | None = None
    if isinstance(part.shape, Tube) and part.course:
        value, course = part.shape.field_and_course(box)
    else:
        value = part.shape.field(box)
    value = value + np.float32(part.irregular) * np.clip(noise.field(box), -2.5, 2.5)
    region = codes[box.slices]
    # Small bowel is what is left over, so every organ may replace it.
    free = np.isin(region, [CODE[name] for name in (*part.free, *(["bowel"] if "visceral_fat" in part.free else []))])
    inside = free & (value < 1)
    if course is None:
        region[inside] = CODE[part.tissue]
        return
    low = -1.0
    for tissue, high in part.course:
        region[inside & (course > low) & (course <= high)] = CODE[tissue]
        low = high


def _inside_of_organs(codes: Codes, person: Person, grid: Grid) -> None:
    """Renal sinus, gas in bowel and stomach: contents that make the organs recognisable."""
    shapes: dict[str, Shape] = {part.tissue: part.shape for part in person.parts}
    for side, sign in (("kidney_right", -1.0), ("kidney_left", 1.0)):
        kidney = shapes[side]
        cx, cy, cz = kidney.center if isinstance(kidney, Ellipsoid) else (0.0, 0.0, 0.0)
        sinus = Ellipsoid((cx + sign * 16, cy + 6, cz), (15, 9, 24))
        _replace_inside(codes, grid, sinus, side, "renal_sinus")
    for organ, threshold in (("colon", 0.35), ("stomach", 0.2)):
        box = grid.box((-150, -110, -240), (150, 115, 150))
        if box is None:
            continue
        region = codes[box.slices]
        _, y, _ = box.open_mesh
        # Gas rises to the front of a patient who lies on the back.
        gas = person.filling.field(box) + y / np.float32(60) > threshold + 0.6
        hollow = _eroded(region == CODE[organ], box)
        region[hollow & gas] = CODE["gas"]


def _eroded(mask: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    """Leave a wall of one voxel on coarse grids, of about 3 mm on fine ones."""
    from scipy import ndimage

    step = min(float(axis[1] - axis[0]) if axis.size > 1 else 3.0 for axis in box.axes)
    return np.asarray(ndimage.binary_erosion(mask, iterations=max(1, round(3 / step)), border_value=1))


def _replace_inside(codes: Codes, grid: Grid, shape: Shape, old: str, new: str) -> None:
    box = grid.box(*shape.bounds(1.0))
    if box is not None:
        region = codes[box.slices]
        region[(region == CODE[old]) & (shape.field(box) < 1)] = CODE[new]
