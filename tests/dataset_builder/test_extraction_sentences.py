"""Sentences a report reader trips over, with the values a person reads in them."""

from __future__ import annotations

import pytest

from rsuper_bench.benchmark.records import Finding, Presence
from rsuper_bench.dataset_builder.extraction import RulesExtractor

EXTRACTOR = RulesExtractor()
PRESENCE = {"+": Presence.PRESENT, "-": Presence.ABSENT, "?": Presence.UNCERTAIN, ".": Presence.NOT_STATED}


def presence_of(report: str) -> dict[str, str]:
    marks = {presence: mark for mark, presence in PRESENCE.items()}
    record = EXTRACTOR.extract("case", report)
    return {str(kind): marks[stated] for kind, stated in record.presence.items() if stated is not Presence.NOT_STATED}


def findings_of(report: str) -> tuple[Finding, ...]:
    return EXTRACTOR.extract("case", report).findings


# report, presence of every type that is not "not stated"
PRESENCE_CASES = [
    # negation and its scope
    ("No focal hepatic, splenic, or renal lesions.", {"liver": "-", "spleen": "-", "kidney": "-"}),
    ("There is no evidence of a pancreatic mass.", {"pancreas": "-"}),
    ("No hydronephrosis, but there is a 2 cm left renal cyst.", {"kidney": "+"}),
    ("No hydronephrosis and a 2.1 cm cyst in the right kidney.", {"kidney": "+"}),
    ("The liver is free of focal lesions.", {"liver": "-"}),
    ("A discrete pancreatic mass is not identified.", {"pancreas": "-"}),
    ("The previously seen liver lesion is no longer visualized.", {"liver": "-"}),
    ("The liver demonstrates no mass or cyst; the left kidney contains a 1.4 cm cyst.", {"liver": "-", "kidney": "+"}),
    ("Neither adrenal gland shows a nodule.", {"adrenal": "-"}),
    ("No significant change in the 3 cm liver cyst.", {"liver": "+"}),
    ("Liver cyst, without enhancement or septation.", {"liver": "+"}),
    ("3 cm pancreatic tail mass without ductal dilatation.", {"pancreas": "+"}),
    ("There is a renal cyst. No other renal lesion.", {"kidney": "+"}),
    ("Liver: a 2 cm cyst. No other focal lesion.", {"liver": "+"}),
    ("Spleen: Focal lesions: none.", {"spleen": "-"}),
    ("The new 8 mm liver lesion was not present on the prior examination.", {"liver": "+"}),
    # normal organs, lists and exceptions
    (
        "The liver, spleen, pancreas, adrenal glands, and kidneys are unremarkable.",
        {"liver": "-", "spleen": "-", "pancreas": "-", "adrenal": "-", "kidney": "-"},
    ),
    ("Unremarkable liver, gallbladder and spleen.", {"liver": "-", "gallbladder": "-", "spleen": "-"}),
    ("The liver and spleen are unremarkable except for a 1 cm cyst in the spleen.", {"liver": "-", "spleen": "+"}),
    ("The kidneys are normal apart from a 12 mm cyst on the left.", {"kidney": "+"}),
    (
        "LIVER: Normal.\nSPLEEN: 14 cm, enlarged.\nPANCREAS: Unremarkable.",
        {"liver": "-", "spleen": "-", "pancreas": "-"},
    ),
    (
        "The solid abdominal organs are unremarkable.",
        {"liver": "-", "spleen": "-", "pancreas": "-", "kidney": "-", "adrenal": "-"},
    ),
    ("The pancreatic duct and common bile duct are normal in caliber.", {}),
    ("The renal arteries and splenic vein are patent.", {}),
    # hedging
    ("Possible 1 cm lesion in the pancreatic tail.", {"pancreas": "?"}),
    ("A small mass in the pancreatic head cannot be excluded.", {"pancreas": "?"}),
    ("Questionable subtle hypodensity in the spleen.", {"spleen": "?"}),
    ("Hypodense lesion in the liver, which may represent a cyst or hemangioma.", {"liver": "+"}),
    ("Fullness of the left adrenal gland.", {"adrenal": "?"}),
    ("Possible liver cyst. A 2 cm definite mass in the right hepatic lobe.", {"liver": "+"}),
    # things that are not tumors
    ("A 5 mm nonobstructing stone in the lower pole of the left kidney.", {"kidney": "-"}),
    ("There is a 4.2 cm infrarenal abdominal aortic aneurysm.", {}),
    ("1.2 cm lymph node adjacent to the pancreas.", {}),
    ("Simple cyst of the left ovary measuring 3 cm.", {}),
    ("6 cm fluid collection in the pelvis.", {}),
    ("A 10 cm loop of small bowel is thickened.", {}),
    ("Wall thickening of the sigmoid colon consistent with diverticulitis.", {"colon": "-"}),
    ("Lytic lesion in the L3 vertebral body.", {}),
    ("Cholelithiasis. Gallbladder wall is not thickened.", {"gallbladder": "-"}),
    # history, technique, comparison
    ("HISTORY: Pancreatic cancer, liver metastases.\nFINDINGS: The bowel is normal.", {"colon": "-"}),
    ("INDICATION: Rule out renal mass.\nTECHNIQUE: 5 mm axial images.\nIMPRESSION: Normal kidneys.", {"kidney": "-"}),
    ("Patient with history of hepatocellular carcinoma. Liver is unremarkable.", {"liver": "-"}),
    ("COMPARISON: CT showing a 2 cm liver mass.\nFINDINGS: No focal liver lesion.", {"liver": "-"}),
    # where
    ("Metastases from colon cancer are seen throughout the liver.", {"liver": "+"}),
    ("Hepatic and renal cysts.", {"liver": "+", "kidney": "+"}),
    ("Multiple cysts in the liver and both kidneys.", {"liver": "+", "kidney": "+"}),
    ("Fibroid uterus. The ovaries are normal.", {"uterus": "+"}),
    (
        "Mass in the pancreatic head abutting the duodenum and encasing the superior mesenteric artery.",
        {"pancreas": "+"},
    ),
    ("3 mm nodule in the right lower lobe.", {"lung": "+"}),
    ("Polypoid mass in the cecum, suspicious for carcinoma.", {"colon": "+"}),
    ("Enhancing 1.5 cm polypoid lesion along the posterior bladder wall.", {"bladder": "+"}),
    ("Focal wall thickening of the distal esophagus.", {"esophagus": "+"}),
]


@pytest.mark.parametrize(("report", "expected"), PRESENCE_CASES, ids=[case[0][:50] for case in PRESENCE_CASES])
def test_presence(report, expected):
    assert presence_of(report) == expected


# report, diameters of each finding in order
SIZE_CASES = [
    ("4 x 3 x 2 cm mass in the liver.", [(40, 30, 20)]),
    ("2.1 cm x 1.8 cm cyst in the left kidney.", [(21, 18)]),
    ("12-mm cyst in the left kidney.", [(12,)]),
    ("Cyst in the left kidney, 1.2 by 0.9 centimeters.", [(12, 9)]),
    ("Liver lesion measuring 4.2 cm (AP) x 3.1 cm (TR) x 2 cm (CC).", [(42, 31, 20)]),
    ("Liver lesions ranging from 5-8 mm.", [(8,)]),
    ("Scattered liver cysts measuring up to 1.8 cm.", [(18,)]),
    ("Liver cyst measures 2.1 cm, previously 1.5 cm.", [(21,)]),
    ("Liver cyst has increased from 10 to 14 mm.", [(14,)]),
    ("Liver mass, increased to 14 mm from 10 mm.", [(14,)]),
    ("The renal cyst now measures 15 mm, was 12 mm.", [(15,)]),
    ("Pancreatic cyst measuring 2.3 cm compared to 1.9 cm on the prior study.", [(23,)]),
    ("Pancreatic cyst (1.9 cm on 03/12/2019) now measures 2.3 cm.", [(23,)]),
    ("Splenic lesion decreased in size, previously measuring 3 cm.", [()]),
    ("A 2 cm cyst in the spleen, which measures 14 cm in length.", [(20,)]),
    ("The spleen measures 15 cm and contains a 9 mm cyst.", [(9,)]),
    ("Left renal cyst measures 3.4 cm, with a 4 mm stone in the lower pole.", [(34,)]),
    ("A 2 cm mass in the pancreatic head, 3 cm from the duodenum.", [(20,)]),
    ("Two cysts in the right kidney measuring 2 cm and 3 cm.", [(20,), (30,)]),
    ("There are two liver lesions. The larger measures 2.4 cm in segment 6. The smaller measures 8 mm.", [(24,), (8,)]),
    ("There is a cyst in the left kidney. It measures 2.2 x 2.0 cm.", [(22, 20)]),
    ("Hypodense lesion in the liver measuring ___ cm.", [()]),
    ("Hypodense lesion in the liver measuring 3 x x 2 cm.", [()]),
    ("Cyst of 12 cm3 in the left kidney.", [()]),
    ("Liver lesion less than 5 mm, too small to characterize.", [()]),
    ("Adrenal nodule measuring 1.5 cm and 10 HU.", [(15,)]),
    ("Liver mass: 2.3 cm in AP, 2.1 cm in transverse and 3.0 cm in craniocaudal dimension.", [(23, 21, 30)]),
    (
        "FINDINGS: 3.2 cm mass in the pancreatic tail.\nIMPRESSION: 3 cm pancreatic tail mass, likely adenocarcinoma.",
        [(32,)],
    ),
    (
        "FINDINGS: 2 cm cyst in the left kidney. 5 mm cyst in the right kidney.\nIMPRESSION: Bilateral renal cysts.",
        [(20,), (5,)],
    ),
]


@pytest.mark.parametrize(("report", "expected"), SIZE_CASES, ids=[case[0][:50] for case in SIZE_CASES])
def test_sizes(report, expected):
    assert [finding.diameters_mm for finding in findings_of(report)] == expected


# report, attributes of its one finding
ATTRIBUTE_CASES = [
    (
        "Three hypodense lesions in the right hepatic lobe.",
        {"count": (3, "exact"), "attenuation": "hypo", "location": "right_lobe", "kind": "indeterminate"},
    ),
    ("At least two enhancing masses in the left kidney.", {"count": (2, "at_least"), "side": "left", "kind": "mass"}),
    (
        "Innumerable liver metastases.",
        {"count": (None, "innumerable"), "kind": "metastasis", "malignancy": "malignant"},
    ),
    ("Multiple bilateral renal cysts.", {"count": (2, "at_least"), "side": "bilateral", "kind": "cyst"}),
    ("A single cyst in segment IVb.", {"count": (1, "exact"), "location": "segment_4", "tumor_type": "liver"}),
    (
        "Low-attenuation lesion in the uncinate process, likely an IPMN.",
        {"attenuation": "hypo", "location": "uncinate", "kind": "cyst", "certainty": "certain"},
    ),
    (
        "Hypervascular mass in the upper pole of the right kidney, consistent with renal cell carcinoma.",
        {"attenuation": "hyper", "location": "upper_pole", "side": "right", "kind": "mass", "malignancy": "malignant"},
    ),
    ("Isodense pancreatic head mass.", {"attenuation": "iso", "location": "head"}),
    ("Heterogeneously enhancing 6 cm mass of the left adrenal gland.", {"attenuation": "mixed", "side": "left"}),
    (
        "Benign right adrenal adenoma measuring 1.8 cm.",
        {"malignancy": "benign", "side": "right", "tumor_type": "adrenal"},
    ),
    ("2 cm lesion in segment 7 (series 3, image 45).", {"series": 3, "image": 45, "location": "segment_7"}),
    ("Left kidney: 2 cm cyst in the lower pole.", {"side": "left", "location": "lower_pole"}),
    (
        "Irregular wall thickening of the sigmoid colon, worrisome for malignancy.",
        {"kind": "wall_thickening", "location": "sigmoid", "tumor_type": "colon", "malignancy": "malignant"},
    ),
    ("Probable hemangioma in the left lobe of the liver.", {"location": "left_lobe", "kind": "mass"}),
]


@pytest.mark.parametrize(("report", "expected"), ATTRIBUTE_CASES, ids=[case[0][:50] for case in ATTRIBUTE_CASES])
def test_attributes(report, expected):
    (finding,) = findings_of(report)
    read = {name: getattr(finding, name) for name in expected if name != "count"}
    if "count" in expected:
        read["count"] = (finding.count.value, finding.count.relation)
    assert read == expected


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("Status post cholecystectomy.", {"gallbladder": "resected"}),
        ("HISTORY: Hysterectomy.\nFINDINGS: No acute abnormality.", {"uterus": "resected"}),
        ("The gallbladder is surgically absent.", {"gallbladder": "resected"}),
        ("Surgically absent uterus.", {"uterus": "resected"}),
        ("The uterus is not visualized.", {"uterus": "out_of_view"}),
        ("Status post left nephrectomy. The right kidney is normal.", {}),
        ("Status post partial nephrectomy and distal pancreatectomy.", {}),
        ("The spleen has been removed.", {"spleen": "resected"}),
    ],
)
def test_organs_that_cannot_be_evaluated(report, expected):
    record = EXTRACTOR.extract("case", report)
    assert {str(kind): str(why) for kind, why in record.not_evaluable.items()} == expected
    assert all(record.presence[kind] is Presence.NOT_STATED for kind in record.not_evaluable)
