"""What the readers of public data sets have in common, and a real CT in three of the layouts."""

import json
import os
from pathlib import Path

import pytest
from miniature_sets import PLUS, REPORT, opened, write_csv

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.dataset_builder.label_map import ORGAN_NUMBER


@pytest.mark.parametrize("name", ["merlin", "pants", "abdomenatlas", "ct_rate"])
def test_an_empty_folder_says_what_is_missing(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no (merlin|metadata|AbdomenAtlas|radiology)"):
        opened(name, tmp_path / "empty").keys()
    with pytest.raises(ConfigError, match="no such folder"):
        opened(name, tmp_path / "none")


@pytest.mark.parametrize("name", ["merlin", "pants", "abdomenatlas", "ct_rate"])
def test_an_unknown_option_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="unknown key"):
        opened(name, tmp_path, "organ_mask: {}\n")


def test_a_config_cannot_run_code(tmp_path):
    ran = tmp_path / "ran"
    with pytest.raises(ConfigError, match="cannot be parsed"):
        opened("pants", tmp_path, f"organ_masks: !!python/object/apply:pathlib.Path.touch [{ran}]\n")
    assert not ran.exists()


def test_every_organ_name_of_the_public_sets_is_known_or_listed():
    """Names that Merlin Plus lists; what has no label in a release is named here on purpose."""
    from rsuper_bench.dataset_builder.mask_names import organ_number

    listed = """adrenal gland left, adrenal gland right, aorta, bladder, cbd stent, celiac artery, celiac trunk, colon,
        common bile duct, duodenum, esophagus, femur left, femur right, gall bladder, hepatic vessels, intestine,
        kidney left, kidney right, liver, liver segment 1, liver segment 8, lung left, lung right, pancreas body,
        pancreas head, pancreas tail, pancreas, pancreatic duct, portal vein and splenic vein, postcava, prostate,
        rectum, renal vein left, renal vein right, spleen, stomach, superior mesenteric artery,
        superior mesenteric vein"""
    unknown = {name.strip() for name in listed.split(",") if organ_number(name) is None}
    assert unknown == {
        "cbd stent", "celiac artery", "celiac trunk", "common bile duct", "femur left", "femur right",
        "hepatic vessels", "intestine", "pancreatic duct", "portal vein and splenic vein", "renal vein left",
        "renal vein right", "superior mesenteric artery", "superior mesenteric vein",
    }  # fmt: skip
    assert organ_number("postcava") == ORGAN_NUMBER["inferior_vena_cava"]


DATA = Path(os.environ.get("RSUPER_BENCH_DATA", "")) / "ct" / "totalseg_example"


@pytest.mark.real_data
@pytest.mark.skipif(not (DATA / "seg_fast").is_dir(), reason="RSUPER_BENCH_DATA has no ct/totalseg_example")
@pytest.mark.parametrize("name", ["abdomenatlas", "pants", "merlin"])
def test_a_real_ct_with_real_masks_in_each_layout(tmp_path, name):
    """A real CT and one real mask an organ (TotalSegmentator example), against the volumes published with them."""
    root, scan = tmp_path / name, "BDMAP_00000001"
    ct, masks = {
        "abdomenatlas": (f"image_only/{scan}/ct.nii.gz", f"mask_only/{scan}/segmentations"),
        "pants": (f"ImageTr/{scan}/ct.nii.gz", f"LabelTr/{scan}/segmentations"),
        "merlin": (f"merlin_data/{scan}.nii.gz", f"masks/{scan}"),
    }[name]
    (root / ct).parent.mkdir(parents=True)
    (root / ct).write_bytes((DATA / "ct_sm.nii.gz").read_bytes())
    (root / masks).mkdir(parents=True)
    for path in (DATA / "seg_fast").glob("*.nii.gz"):
        (root / masks / path.name).write_bytes(path.read_bytes())
    write_csv(root / "AbdomenAtlas3.0.csv", [{"BDMAP ID": scan, "narrative report": REPORT}])
    write_csv(root / "metadata.csv", [{"PanTS ID": scan}])
    (root / "ReportTr" / scan).mkdir(parents=True)
    (root / "ReportTr" / scan / "report.txt").write_text(REPORT)
    write_csv(root / "reports_final.csv", [{"study id": scan, "Findings": REPORT, "Split": "train"}])
    write_csv(root / "merlin_longitudinal_metadata.csv", [PLUS | {"Encrypted Accession Number": scan}])
    source = opened(name, root)
    case = source.make(source.keys()[0])
    published = json.loads((DATA / "seg_fast_statistics.json").read_text())
    assert case.organs.same_grid(case.ct)
    for organ in ("spleen", "kidney_left", "kidney_right", "liver", "pancreas"):
        mm3 = (case.organs.data == ORGAN_NUMBER[organ]).sum() * case.ct.voxel_mm3
        assert mm3 == pytest.approx(published[organ]["volume"], rel=1e-3), organ
    assert not (case.organs.data == ORGAN_NUMBER["urinary_bladder"]).any()  # its mask is empty
