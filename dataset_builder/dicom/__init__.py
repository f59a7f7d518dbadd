"""The ``dicom`` source: a PACS export -> one CT and one report a study, under pseudonyms."""

from rsuper_bench.dataset_builder.dicom.config import DicomConfig, load_dicom_config
from rsuper_bench.dataset_builder.dicom.source import DicomSource

__all__ = ["DicomConfig", "DicomSource", "load_dicom_config"]
