"""Networks by name, behind one call. A new one: one file here with a decorated function, imported below."""

from rsuper_bench.baselines.networks import dynunet, medformer, segresnet, swin_unetr
from rsuper_bench.baselines.networks.channels import Channels
from rsuper_bench.baselines.networks.registry import NETWORKS, Sides, register, with_deepest, with_sides
from rsuper_bench.baselines.networks.segmenter import Model, Outputs, Segmenter, build_model

__all__ = [
    "NETWORKS",
    "Channels",
    "Model",
    "Outputs",
    "Segmenter",
    "Sides",
    "build_model",
    "dynunet",
    "medformer",
    "register",
    "segresnet",
    "swin_unetr",
    "with_deepest",
    "with_sides",
]
