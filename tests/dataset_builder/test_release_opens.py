"""A release opens with plain `load_dataset`, streaming too, in an environment without this package."""

import json
import shutil
import subprocess
import sys
import venv

import nibabel as nib
import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sources import TinySource, WordExtractor

from rsuper_bench.benchmark.records import (
    Attenuation,
    CaseRecord,
    Certainty,
    Count,
    CountRelation,
    CtInfo,
    Extractor,
    Finding,
    Presence,
    Split,
)
from rsuper_bench.benchmark.release import CONFIGS, Release, attributes_row, record_from_row
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder import release_writer
from rsuper_bench.dataset_builder.build import BuildPlan, build
from rsuper_bench.dataset_builder.schema import ATTRIBUTES, CASES, TUMORS, arrow_schema, tumor_rows


def built(out, source=None, **options):
    extractor = WordExtractor()
    build(BuildPlan(source or TinySource(), "tiny", {}, extractor, out, **options))
    return Release(out)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return built(tmp_path_factory.mktemp("opens") / "release", TinySource(n=21))


# A process that streamed parquet sometimes aborts while Python shuts down (apache/arrow#45214,
# huggingface/datasets#7566): what counts here is done by then, so the scripts leave without the shutdown.
OPEN = """
import json, os, sys
if sys.argv[3] == "blocked":
    sys.modules["rsuper_bench"] = None  # any import of it fails
from datasets import load_dataset
path, streaming = sys.argv[1], sys.argv[2] == "streaming"
found = {}
for config in ("cases", "attributes", "tumors"):
    opened = load_dataset(path, config, streaming=streaming)
    found[config] = {split: [row["case_id"] for row in rows] for split, rows in opened.items()}
opened = load_dataset(path, "cases", streaming=streaming)
volumes = {}
for rows in opened.values():
    for row in rows:
        volumes[row["case_id"]] = {
            name: row[name] and [int(row[name].get_fdata().sum()), row[name].affine.tolist()]
            for name in ("ct", "organs", "lesions")
        }
        volumes[row["case_id"]]["preview"] = row["preview"]["bytes"][:8].hex()
        volumes[row["case_id"]]["report"] = row["report"]
        volumes[row["case_id"]]["type"] = type(row["ct"]).__mro__[1].__name__
narrow = load_dataset(path, "cases", split="train", streaming=streaming, columns=["case_id", "presence_liver"])
json.dump({"found": found, "volumes": volumes, "narrow": sorted(next(iter(narrow)))}, sys.stdout)
sys.stdout.flush()
os._exit(0)
"""


def check_opens(release, python, tmp_path, mode, *, blocked):
    arguments = [python, "-c", OPEN, str(release.folder), mode, "blocked" if blocked else "absent"]
    environment = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"}
    result = subprocess.run(arguments, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    answer = json.loads(result.stdout)
    expected = {str(split): [record.case_id for record in release.records(split)] for split in Split}
    assert answer["found"]["cases"] == answer["found"]["attributes"] == expected
    tumors = {str(split): [r.case_id for r in release.records(split) for _ in r.findings] for split in Split}
    assert answer["found"]["tumors"] == {split: rows for split, rows in tumors.items() if rows}
    assert answer["narrow"] == ["case_id", "presence_liver"]
    for case_id, values in answer["volumes"].items():
        volumes = release.volumes(case_id)
        for name in ("ct", "organs", "lesions"):
            total, affine = values[name]
            assert total == int(getattr(volumes, name).data.sum(dtype=np.int64))
            np.testing.assert_allclose(affine, volumes.ct.affine)
        assert values["report"] == release.columns(case_id, ["report"])["report"]
        assert values["type"] == "Nifti1Image"
        assert bytes.fromhex(values["preview"]) == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("mode", ["plain", "streaming"])
def test_opens_without_this_package(release, tmp_path, mode):
    check_opens(release, sys.executable, tmp_path, mode, blocked=True)


@pytest.mark.slow
def test_opens_in_a_bare_environment(release, tmp_path):
    """What the card promises: `pip install datasets nibabel`, and nothing else."""
    venv.create(tmp_path / "bare", with_pip=True)
    python = tmp_path / "bare" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "datasets", "nibabel"], check=True, timeout=600)
    for mode in ("plain", "streaming"):
        check_opens(release, python, tmp_path, mode, blocked=False)


def test_a_release_made_anew_at_the_same_place_is_not_opened_from_a_cache(tmp_path):
    read = (
        "from datasets import load_dataset; import sys; print(load_dataset(*sys.argv[1:], split='train')[0]['report'])"
    )
    for report in ("no liver", "no liver at all"):
        shutil.rmtree(tmp_path / "release", ignore_errors=True)
        changes = {f"case-{i:03d}": {"report": report, "lesions": None, "lesion_types": ()} for i in range(3)}
        release = built(tmp_path / "release", TinySource(n=3, changes=changes))
        command = [sys.executable, "-c", read, str(release.folder), "cases"]
        environment = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"}
        assert subprocess.run(command, capture_output=True, text=True, env=environment).stdout.strip() == report


def test_a_split_without_cases_does_not_spoil_the_others(tmp_path):
    """`datasets` refuses a config of which one split is empty, so the card leaves such a split out."""
    release = built(tmp_path / "release", TinySource(n=2))
    assert not release.records(Split.VALIDATION)
    check = "from datasets import load_dataset; import sys; print(sorted(load_dataset(sys.argv[1], sys.argv[2])))"
    for config in ("cases", "tumors"):
        result = subprocess.run(
            [sys.executable, "-c", check, str(release.folder), config],
            capture_output=True,
            text=True,
            env={"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"},
        )
        assert result.returncode == 0, result.stderr[-2000:]
        splits = {"cases": ["test", "train"], "tumors": tumor_splits(release)}[config]
        assert result.stdout.strip() == str(splits)


def tumor_splits(release):
    return sorted({str(record.split) for record in release.records() if record.findings})


def test_a_release_without_any_finding_still_has_the_columns(tmp_path):
    silent = {f"case-{i:03d}": {"report": "no liver", "lesions": None, "lesion_types": ()} for i in range(6)}
    release = built(tmp_path / "release", TinySource(n=6, changes=silent))
    (path,) = (release.folder / "tumors").iterdir()
    assert pq.read_schema(path).names == list(TUMORS)
    assert pq.read_table(path).num_rows == 0
    assert release.volumes("case-000").lesions is None


def test_parquet_names_its_features(release):
    for config in CONFIGS:
        for path in (release.folder / config).iterdir():
            schema = pq.read_schema(path)
            assert schema.equals(arrow_schema(config))
            assert schema.metadata[b"huggingface"] == arrow_schema(config).metadata[b"huggingface"]


def test_images_are_not_compressed_twice_and_can_be_read_one_by_one(release):
    with pq.ParquetFile(release.folder / "cases" / "train-00000-of-00001.parquet") as file:
        assert file.metadata.num_row_groups == 2  # 15 cases in groups of eight
        group = file.metadata.row_group(0)
        codecs = {group.column(i).path_in_schema: group.column(i).compression for i in range(group.num_columns)}
    assert codecs["ct.bytes"] == codecs["preview.bytes"] == "UNCOMPRESSED"
    assert codecs["report"] == "ZSTD"


def test_large_cases_are_spread_over_shards_and_groups(tmp_path, monkeypatch, release):
    whole = {record.case_id: release.volumes(record.case_id).ct.data for record in release.records()}
    monkeypatch.setattr(release_writer, "SHARD_BYTES", 200_000)
    monkeypatch.setattr(release_writer, "GROUP_BYTES", 90_000)
    cut = built(tmp_path / "release", TinySource(n=21))
    names = sorted(path.name for path in (cut.folder / "cases").glob("train-*"))
    assert len(names) > 1
    assert names[0] == f"train-00000-of-{len(names):05d}.parquet"
    for path in (cut.folder / "cases").iterdir():
        assert path.stat().st_size < 200_000
    assert cut.digest == release.digest  # the manifest is about cases, not about files
    for case_id, data in whole.items():
        np.testing.assert_array_equal(cut.volumes(case_id).ct.data, data)


def test_volumes_have_no_text_in_their_headers(release):
    import gzip

    data = release.columns("case-000", ["ct"])["ct"]["bytes"]
    header = nib.Nifti1Image.from_bytes(gzip.decompress(data)).header
    assert {header[name].item() for name in ("descrip", "aux_file", "db_name", "intent_name")} == {b""}


def test_previews_become_pictures(release, tmp_path):
    import io

    from datasets import Image, load_dataset

    rows = load_dataset(str(release.folder), "cases", split="train", streaming=True).cast_column("preview", Image())
    row = next(iter(rows))
    stored = release.columns(row["case_id"], ["preview"])["preview"]["bytes"]
    assert row["preview"].size == PIL.Image.open(io.BytesIO(stored)).size
    assert row["preview"].height == 256


def test_card_header_is_yaml_with_the_three_configs(release):
    _, header, _ = (release.folder / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(header)
    assert [config["config_name"] for config in card["configs"]] == list(CONFIGS)
    assert card["configs"][0]["data_files"][0] == {"split": "train", "path": "cases/train-*.parquet"}
    assert card["license"] == "cc0-1.0"
    assert "synthetic" in card["tags"]


def test_card_shows_names_from_outside_as_text(tmp_path):
    hostile = "x|y<script>`[a](b)\n# head"
    changes = {"case-000": {"source": hostile, "licence": hostile}}
    text = (built(tmp_path / "release", TinySource(changes=changes)).folder / "README.md").read_text()
    assert "<script>" not in text
    assert "\n# head" not in text
    assert r"x\|y\<script\>\`\[a\](b) # head" in text
    assert "license: other" in text


def test_manifest_is_small_and_vouches_for_every_part(release):
    lines = (release.folder / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["case_id"] for line in lines] == [record.case_id for record in release.records()]
    for line in lines:
        assert len(line) < 1024
        assert set(json.loads(line)["files"]) == {"ct", "organs", "lesions", "report"}


def test_croissant_names_every_column(release):
    croissant = json.loads((release.folder / "croissant.json").read_text())
    named = {record["@id"]: [field["name"] for field in record["field"]] for record in croissant["recordSet"]}
    assert named == {"cases": list(CASES), "attributes": list(ATTRIBUTES), "tumors": list(TUMORS)}


def test_croissant_is_valid(release):
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=release.folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors


def test_tumor_rows_by_hand():
    record = case_record(
        findings=(Finding(tumor_type=TumorType.LIVER, diameters_mm=(11.0, 10.0)), Finding(tumor_type=TumorType.LIVER))
    )
    first, second = tumor_rows(record)
    assert first["volume_mm3"] == pytest.approx(604.757, abs=1e-3)  # METHOD 1: 11 x 10 mm
    assert (first["finding"], second["finding"], second["volume_mm3"]) == (0, 1, None)
    assert (first["case_id"], first["patient_id"], first["split"]) == ("case", "patient", "train")
    assert set(first) == set(TUMORS)


def case_record(**fields):
    ct = CtInfo(file="case_ct.nii.gz", sha256="0" * 64, shape=(1, 2, 3), spacing_mm=(1, 1, 2.5), orientation="RAS")
    return CaseRecord(
        **{
            "case_id": "case",
            "patient_id": "patient",
            "source": "s",
            "licence": "l",
            "redistributable": False,
            "split": Split.TRAIN,
            "ct": ct,
            "presence": {TumorType.LIVER: Presence.PRESENT},
            "extractor": Extractor(name="e", version="1"),
        }
        | fields
    )


FINDINGS = st.builds(
    Finding,
    tumor_type=st.just(TumorType.LIVER),
    location=st.none() | st.just("segment_4"),
    diameters_mm=st.lists(st.floats(0.1, 500), max_size=3).map(tuple),
    count=st.sampled_from([Count(), Count(value=3), Count(value=None, relation=CountRelation.INNUMERABLE)]),
    attenuation=st.sampled_from(Attenuation),
    certainty=st.sampled_from(Certainty),
    series=st.none() | st.integers(0, 99),
    evidence=st.dictionaries(st.sampled_from(["kind", "location"]), st.just((3, 9))),
    derived=st.just(()) | st.just(("certainty",)),
)


@settings(max_examples=50, deadline=None)
@given(
    findings=st.lists(FINDINGS, max_size=4).map(tuple),
    sex=st.none() | st.sampled_from(Sex),
    age=st.none() | st.floats(0, 90),
    lesion_masks=st.dictionaries(st.sampled_from(TumorType), st.floats(0, 1e6)),
    organ_labels=st.lists(st.sampled_from(["liver", "spleen"])).map(tuple),
)
def test_a_record_survives_parquet(findings, sex, age, lesion_masks, organ_labels):
    import pyarrow as pa

    record = case_record(findings=findings, sex=sex, age=age, lesion_masks=lesion_masks, organ_labels=organ_labels)
    table = pa.Table.from_pylist([attributes_row(record)], schema=arrow_schema("attributes"))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    assert record_from_row(pq.read_table(pa.BufferReader(sink.getvalue())).to_pylist()[0]) == record


def test_a_release_knows_what_it_is(tmp_path):
    release = built(tmp_path / "release", name="tiny-1", smoke=False)
    assert (release.name, release.synthetic, release.smoke, release.info.source) == ("tiny-1", True, False, "tiny")
    (release.folder / "release.json").unlink()  # a release of other software
    assert (Release(release.folder).name, Release(release.folder).smoke) == ("release", False)


def test_a_release_that_hides_its_leak_is_still_smoke(tmp_path):
    release = built(tmp_path / "release", TinySource(anatomies=1), smoke=True)
    (release.folder / "release.json").unlink()
    assert Release(release.folder).smoke
