"""The report losses of METHOD 2-7 as functions that fit anyone's training loop."""

from rsuper_bench.baselines.losses.attenuation import (
    AttenuationTarget,
    attenuation_classifier,
    attenuation_features,
    attenuation_loss,
    attenuation_supervised,
    attenuation_target,
    attenuation_target_from_mask,
)
from rsuper_bench.baselines.losses.averaging import (
    mean_over_batch,
    no_loss,
    nothing,
    summed_over_parts,
    supervised_mean,
    total,
)
from rsuper_bench.baselines.losses.ball import ball_loss
from rsuper_bench.baselines.losses.balls import grow
from rsuper_bench.baselines.losses.malignancy import malignancy_loss, malignancy_target
from rsuper_bench.baselines.losses.pooled_sums import rank_pooling_weights
from rsuper_bench.baselines.losses.pseudo_mask import PseudoMask, ball_pseudo_mask, place_tumors
from rsuper_bench.baselines.losses.report_supervision import ReportSupervision
from rsuper_bench.baselines.losses.reported_tumors import ReportedTumors
from rsuper_bench.baselines.losses.segmentation import segmentation_loss
from rsuper_bench.baselines.losses.slice_band import (
    Band,
    band_box,
    band_voxels,
    joined_band,
    slice_band,
    widened_band,
)
from rsuper_bench.baselines.losses.volume import (
    MEASURED_SPREAD,
    volume_band_loss,
    volume_bounds,
    volume_loss,
)

__all__ = [
    "MEASURED_SPREAD",
    "AttenuationTarget",
    "Band",
    "PseudoMask",
    "ReportSupervision",
    "ReportedTumors",
    "attenuation_classifier",
    "attenuation_features",
    "attenuation_loss",
    "attenuation_supervised",
    "attenuation_target",
    "attenuation_target_from_mask",
    "ball_loss",
    "ball_pseudo_mask",
    "band_box",
    "band_voxels",
    "grow",
    "joined_band",
    "malignancy_loss",
    "malignancy_target",
    "mean_over_batch",
    "no_loss",
    "nothing",
    "place_tumors",
    "rank_pooling_weights",
    "segmentation_loss",
    "slice_band",
    "summed_over_parts",
    "supervised_mean",
    "total",
    "volume_band_loss",
    "volume_bounds",
    "volume_loss",
    "widened_band",
]
