"""The many ways one thing is written: each line is read into one compact statement per lesion.

A statement is ``type kind[/side][@segment] sizes xcount`` with ``?`` for a doubted lesion; ``-type`` is an organ
without lesions, ``!type`` one that cannot be evaluated.
"""

from __future__ import annotations

import pytest

from rsuper_bench.benchmark.records import Certainty, CountRelation, Finding, Presence
from rsuper_bench.dataset_builder.extraction import RulesExtractor

EXTRACTOR = RulesExtractor()


def said(report: str) -> set[str]:
    record = EXTRACTOR.extract("case", report)
    absent = {f"-{kind}" for kind, presence in record.presence.items() if presence is Presence.ABSENT}
    return absent | {f"!{kind}" for kind in record.not_evaluable} | {shown(finding) for finding in record.findings}


def shown(finding: Finding) -> str:
    place = (f"/{finding.side}" if finding.side else "") + (f"@{finding.location}" if finding.location else "")
    sizes = " " + "x".join(f"{value:g}" for value in finding.diameters_mm) if finding.diameters_mm else ""
    marks = {CountRelation.EXACT: "", CountRelation.AT_LEAST: "+", CountRelation.INNUMERABLE: "many"}
    count = finding.count
    number = f" x{count.value or ''}{marks[count.relation]}" if (count.value, count.relation) != (1, "exact") else ""
    doubt = "?" if finding.certainty is Certainty.UNCERTAIN else ""
    return f"{doubt}{finding.tumor_type} {finding.kind}{place}{sizes}{number}"


STYLES = [
    # characterised in the same breath
    (
        "Liver: There is a 1.3 cm low density lesion in the dome, too small to characterize but likely a cyst.",
        {"liver cyst@dome 13"},
    ),
    ("Stable 8 mm hypodensity in segment 6 (series 2 image 34), likely a cyst.", {"liver cyst@segment_6 8"}),
    (
        "Several subcentimeter hypodensities in both kidneys, too small to characterize, likely cysts.",
        {"kidney cyst/bilateral x2+"},
    ),
    ("Lesion in the spleen likely represents a hemangioma.", {"spleen mass"}),
    ("ADRENALS: 1.4 cm nodule on the right, unchanged since 2015, consistent with adenoma.", {"adrenal mass/right 14"}),
    # time
    (
        "Interval increase in size of the left adrenal nodule, now measuring 2.3 x 1.9 cm (previously 1.8 x 1.5 cm).",
        {"adrenal indeterminate/left 23x19"},
    ),
    ("Mass in the left kidney, previously 3.1 cm, is now 3.8 cm.", {"kidney mass/left 38"}),
    ("1.5 cm (previously 1.1 cm) left lower pole renal mass.", {"kidney mass/left@lower_pole 15"}),
    (
        "Compared with 3/2/2018, the dominant hepatic mass has decreased from 5.6 x 4.2 cm to 3.1 x 2.8 cm.",
        {"liver mass 31x28"},
    ),
    ("The liver lesion measured 2.4 cm on 5/12/19 and now measures 2.9 cm.", {"liver indeterminate 29"}),
    ("Right hepatic lobe lesion: 2.4 cm, previously 2.0 cm.", {"liver indeterminate@right_lobe 24"}),
    ("Previously noted 1.1 cm lesion in the pancreatic tail is not seen on today's exam.", {"-pancreas"}),
    ("Pancreas: 5 mm cyst in the body, unchanged.", {"pancreas cyst@body 5"}),
    (
        "Lesion of the liver measures 3.1 cm (series 4, image 55), previously 2.8 cm (series 3, image 40).",
        {"liver indeterminate 31"},
    ),
    # groups
    ("Enlarged uterus with multiple fibroids, the largest measuring 6.1 cm.", {"uterus mass 61 x2+"}),
    ("Left renal cysts, largest 4.3 cm.", {"kidney cyst/left 43 x2+"}),
    (
        "Multiple pulmonary nodules, the largest in the right lower lobe measuring 1.2 cm.",
        {"lung indeterminate 12 x2+"},
    ),
    (
        "Innumerable liver lesions compatible with metastases, index lesion in segment 8 measures 3.3 x 2.9 cm.",
        {"liver metastasis 33x29 xmany"},
    ),
    ("A few tiny hypodense foci in the spleen.", {"spleen indeterminate x2+"}),
    (
        "Cyst in the left kidney, 3.4 cm in greatest dimension; a second cyst is 1.2 cm.",
        {"kidney cyst/left 34", "kidney cyst/left 12"},
    ),
    ("Liver mets.", {"liver metastasis x2+"}),
    ("Mets to the liver and lungs.", {"liver metastasis x2+", "lung metastasis x2+"}),
    # things that are measured and are no lesions
    ("The prostate is enlarged measuring 5.2 x 4.8 cm.", {"-prostate"}),
    ("The endometrial stripe measures 12 mm.", {"-uterus"}),
    ("Left ovarian cyst measuring 3.1 cm. The uterus is normal.", {"-uterus"}),
    ("The gallbladder contains multiple stones, with no wall thickening or pericholecystic fluid.", {"-gallbladder"}),
    ("Wall thickening of the gastric antrum, which may be due to underdistension.", {"-stomach"}),
    ("Nonspecific thickening of the left adrenal gland without discrete nodule.", {"-adrenal"}),
    ("Focus of calcification in the spleen.", {"-spleen"}),
    ("The liver measures 19 cm in craniocaudal length.", {"-liver"}),
    ("Bladder: distended, no wall thickening or mass.", {"-bladder"}),
    ("A 3.2 cm infrarenal aortic aneurysm and a 2 cm left renal cyst.", {"kidney cyst/left 20"}),
    # places
    ("Hepatic flexure mass measuring 4 cm.", {"colon mass@hepatic_flexure 40"}),
    ("4 cm mass in the region of the pancreatic head.", {"pancreas mass@head 40"}),
    (
        "Mass arising from the lower pole of the left kidney measures 4.5 x 4.2 x 4 cm; suspicious for carcinoma.",
        {"kidney mass/left@lower_pole 45x42x40"},
    ),
    ("Right kidney: 2.3 cm simple cyst mid pole. Left kidney: No mass or stone.", {"kidney cyst/right@interpolar 23"}),
    ("Gallbladder polyp measuring 6 mm.", {"gallbladder mass 6"}),
    ("Urinary bladder: 2.2 cm enhancing mass at the left UVJ.", {"bladder mass 22"}),
    ("The liver is enlarged. A 3 cm mass is present in the right lobe.", {"liver mass@right_lobe 30"}),
    ("Metastatic lesion in the liver from known pancreatic carcinoma.", {"liver metastasis"}),
    # denial and doubt
    ("No liver or splenic lesion. Left renal cyst.", {"-liver", "-spleen", "kidney cyst/left"}),
    (
        "No evidence of hepatic metastatic disease. A 1.9 cm left adrenal nodule is indeterminate.",
        {"-liver", "adrenal indeterminate/left 19"},
    ),
    ("No CT evidence of metastatic disease in the liver, adrenals, or lungs.", {"-liver", "-adrenal", "-lung"}),
    ("The pancreas is atrophic. No pancreatic mass or ductal dilatation.", {"-pancreas"}),
    ("Cannot exclude a small mass in the pancreatic head.", {"?pancreas mass@head"}),
    ("No change in hepatic cysts.", {"liver cyst x2+"}),
    ("Ablation defect in segment 6 without residual tumor.", {"-liver"}),
    ("Liver: no suspicious lesion. Stable cyst in segment 2.", {"liver cyst@segment_2"}),
    ("There are no findings to suggest a mass in the spleen.", {"-spleen"}),
    # layout
    (
        "THERE IS A 2.0 CM CYST IN THE LEFT KIDNEY. NO HYDRONEPHROSIS. THE LIVER IS NORMAL.",
        {"kidney cyst/left 20", "-liver"},
    ),
    ("FINDINGS:\n- Liver: 2 cm cyst\n- Spleen: normal\n- Kidneys: no mass\n", {"liver cyst 20", "-spleen", "-kidney"}),
    (
        "Findings: Liver normal. GB normal. Pancreas normal. 2 cm L renal cyst.",
        {"-liver", "-gallbladder", "-pancreas", "kidney cyst/left 20"},
    ),
    ("Kidneys: Simple right renal cyst (3 cm), otherwise normal.", {"kidney cyst/right 30"}),
    (
        "FINDINGS: The liver\nis unremarkable. There is a 12 mm\ncyst in the left kidney.",
        {"-liver", "kidney cyst/left 12"},
    ),
    (
        "IMPRESSION: 1. 2 cm left renal cyst. 2. No liver lesion. 3. Status post splenectomy.",
        {"kidney cyst/left 20", "-liver", "!spleen"},
    ),
    ("Patient is status post Whipple procedure. The pancreatic tail is unremarkable.", {"-pancreas"}),
    (
        "Esophagus: unremarkable. Stomach: 3 cm submucosal mass along the greater curvature, possibly a GIST.",
        {"-esophagus", "stomach mass 30"},
    ),
    (
        "The oesophagus shows asymmetric wall thickening distally. Haemangioma in the liver, 2 cm.",
        {"esophagus wall_thickening@lower", "liver mass 20"},
    ),
    # a second round
    ("Kidneys: Right: 2 cm cyst. Left: normal.", {"kidney cyst/right 20"}),
    ("Adrenals: left 1.2 cm nodule, right normal.", {"adrenal indeterminate/left 12"}),
    (
        "KIDNEYS AND ADRENALS: 1.5 cm left adrenal nodule. Kidneys are normal.",
        {"adrenal indeterminate/left 15", "-kidney"},
    ),
    ("There is a 5 cm mass replacing the left adrenal gland and invading the left kidney.", {"adrenal mass/left 50"}),
    ("The left kidney has been removed. 1 cm cyst in the right kidney.", {"kidney cyst/right 10"}),
    (
        "Liver: Cirrhotic. There is a 2.2 cm arterially enhancing lesion with washout in segment 8, LI-RADS 5.",
        {"liver indeterminate@segment_8 22"},
    ),
    ("No definite liver lesion is seen; however, evaluation is limited without contrast.", {"-liver"}),
    ("Evaluation of the solid organs is limited by lack of IV contrast.", set()),
    (
        "The kidneys enhance symmetrically. Too small to characterize hypodensities in both kidneys.",
        {"kidney indeterminate/bilateral x2+"},
    ),
    ("Tiny low-density lesion in the left kidney, statistically a cyst.", {"kidney cyst/left"}),
    (
        "1.1 cm pancreatic cystic lesion communicating with the main duct, likely side-branch IPMN.",
        {"pancreas cyst 11"},
    ),
    (
        "Pancreas: dilated duct (6 mm) with abrupt cutoff in the head, suspicious for an obstructing mass.",
        {"pancreas mass@head"},
    ),
    ("Pancreatic head is bulky, mass not excluded.", {"?pancreas mass@head"}),
    ("The uterus is enlarged and contains a 4.5 cm calcified fibroid.", {"uterus mass 45"}),
    ("Uterine fibroids.", {"uterus mass x2+"}),
    (
        "Prostate: normal. Seminal vesicles: normal. Bladder: 8 mm papillary lesion at the dome.",
        {"-prostate", "bladder indeterminate@dome 8"},
    ),
    (
        "Circumferential wall thickening of the rectum with perirectal nodes, concerning for malignancy.",
        {"colon wall_thickening@rectum"},
    ),
    (
        "Multiple bilateral renal cysts, the largest in the left upper pole measuring 5.1 x 4.8 cm.",
        {"kidney cyst/bilateral 51x48 x2+"},
    ),
    (
        "3.0 x 2.8 cm mass, arising from the tail of the pancreas, unchanged from 2.9 x 2.8 cm.",
        {"pancreas mass@tail 30x28"},
    ),
    ("A 7 mm hypodense lesion is unchanged in the spleen.", {"spleen indeterminate 7"}),
    ("Within the spleen is a 7 mm hypodense lesion.", {"spleen indeterminate 7"}),
    ("Seen within the right lobe of the liver is a 3.4 cm mass.", {"liver mass@right_lobe 34"}),
    (
        "Segment VII liver lesion, 14 mm; segment III lesion, 9 mm.",
        {"liver indeterminate@segment_7 14", "liver indeterminate@segment_3 9"},
    ),
    (
        "Hypodense lesions in segments 4 and 6 measuring 12 mm and 9 mm, respectively.",
        {"liver indeterminate@segment_4 12", "liver indeterminate@segment_6 9"},
    ),
    ("The liver contains a cyst (1.2 cm) and a hemangioma (2.3 cm).", {"liver cyst 12", "liver mass 23"}),
    ("2.3 cm hemangioma and several small cysts in the liver.", {"liver mass 23", "liver cyst x2+"}),
    ("Simple-appearing left renal cyst (Bosniak I), 4.2 cm.", {"kidney cyst/left 42"}),
    ("Bosniak IIF cyst in the right kidney measuring 3.3 cm.", {"kidney cyst/right 33"}),
    ("No renal calculi or masses.", {"-kidney"}),
    ("No masses, calculi or hydronephrosis in either kidney.", {"-kidney"}),
    (
        "The left kidney is normal without mass, stone or hydronephrosis and the right kidney contains a 3 mm stone.",
        {"-kidney"},
    ),
    ("Normal liver without mass. Normal spleen.", {"-liver", "-spleen"}),
    ("There are no liver masses; there is a 2 cm splenic cyst.", {"-liver", "spleen cyst 20"}),
    ("Spleen size normal; 1.5 cm low-attenuation lesion along its anterior margin.", {"spleen indeterminate 15"}),
    ("Gallbladder: Status post cholecystectomy.", {"!gallbladder"}),
    ("The patient has had a prior hysterectomy. Bladder is unremarkable.", {"!uterus", "-bladder"}),
    ("Prior right hemicolectomy. No colonic mass.", {"-colon"}),
    (
        "Liver metastases have grown, for example a lesion in segment 5 now measures 3.1 cm, previously 2.2 cm.",
        {"liver metastasis 31 x2+"},
    ),
    ("Mesenteric mass measuring 4 cm abutting the duodenum.", set()),
    ("4 cm retroperitoneal mass adjacent to the left kidney.", set()),
    ("Right lower quadrant mass, 5 cm, inseparable from the cecum.", set()),
    ("Cystic lesion in the right adnexa measuring 4 cm; uterus is normal.", {"-uterus"}),
    ("Enhancing lesion in the L2 vertebral body. Liver unremarkable.", {"-liver"}),
    (
        "Liver, gallbladder, spleen, pancreas: normal. Kidneys: bilateral simple cysts, largest on the left 3 cm.",
        {"-liver", "-gallbladder", "-spleen", "-pancreas", "kidney cyst/bilateral 30 x2+"},
    ),
    ("IMPRESSION: No acute findings. Incidental 9 mm right adrenal nodule.", {"adrenal indeterminate/right 9"}),
    (
        "IMPRESSION: 1. Pancreatic head mass highly concerning for adenocarcinoma. 2. Hepatic metastasis not excluded.",
        {"pancreas mass@head", "?liver metastasis"},
    ),
    ("Focal fatty infiltration adjacent to the falciform ligament. No suspicious hepatic lesion.", {"-liver"}),
    ("Liver lesion in the right lobe is most consistent with focal fat.", {"-liver"}),
    (
        "A 2.0 cm rounded focus in the left adrenal gland measures -5 HU consistent with adenoma.",
        {"adrenal mass/left 20"},
    ),
    ("There is a mass.", set()),
    (
        "The stomach is collapsed. Esophagus is unremarkable. The colon shows no mass.",
        {"-esophagus", "-colon"},  # an empty stomach cannot be judged
    ),
    (
        "Large liver mass measuring up to 12 cm. A separate 1.4 cm lesion is seen in the left lobe.",
        {"liver mass 120", "liver indeterminate@left_lobe 14"},
    ),
    ("Lung bases: 4 mm nodule in the left lower lobe. No effusion.", {"lung indeterminate/left@lower_lobe 4"}),
    ("5 mm pulmonary nodule right middle lobe, unchanged.", {"lung indeterminate/right@middle_lobe 5"}),
    ("Metastatic colon cancer with multiple liver lesions.", {"colon mass", "liver indeterminate x2+"}),
    (
        "HISTORY: Renal cell carcinoma, left nephrectomy.\nFINDINGS: The right kidney, liver and spleen are normal.",
        {"-kidney", "-liver", "-spleen"},
    ),
    ("Diffuse thickening of the urinary bladder wall, likely due to chronic outlet obstruction.", {"-bladder"}),
    ("Bladder diverticulum measuring 3 cm. No bladder mass.", {"-bladder"}),
    ("Interval resolution of the previously seen liver abscess. No liver mass.", {"-liver"}),
    ("Hepatic hemangioma, unchanged dating back to 2010, measures 2.2 cm.", {"liver mass 22"}),
    # a third round
    ("The liver is normal in size and attenuation with no focal lesion identified.", {"-liver"}),
    (
        "Multiple lesions are seen within the liver, the largest 4.2 x 3.8 cm, compared to 4.0 x 3.5 cm previously.",
        {"liver indeterminate 42x38 x2+"},
    ),
    (
        "Again seen is a 1.8 cm lesion in the body of the pancreas, not significantly changed.",
        {"pancreas indeterminate@body 18"},
    ),
    ("There has been interval development of a 2.6 cm hepatic lesion.", {"liver indeterminate 26"}),
    (
        "Bilateral nonobstructing renal calculi measuring up to 5 mm. Bilateral renal cysts measuring up to 3.2 cm.",
        {"kidney cyst/bilateral 32 x2+"},
    ),
    (
        "Exophytic 1.9 cm lesion off the lateral aspect of the right kidney measures 45 HU and is indeterminate.",
        {"kidney indeterminate/right 19"},
    ),
    ("Spleen is enlarged at 16.2 cm. Two subcentimeter hypodensities are present.", {"spleen indeterminate x2"}),
    ("Adrenals: Unremarkable. Kidneys: No hydronephrosis or suspicious mass.", {"-adrenal", "-kidney"}),
    ("Pancreas: fatty atrophy, otherwise unremarkable.", {"-pancreas"}),
    (
        "Gastric wall thickening along the antrum measuring up to 1.6 cm, suspicious for malignancy.",
        {"stomach wall_thickening@antrum 16"},
    ),
    ("5.3 cm annular mass of the ascending colon with pericolonic nodes.", {"colon mass@ascending 53"}),
    ("A soft tissue mass within the urinary bladder measures 3.1 x 2.2 cm.", {"bladder mass 31x22"}),
    ("There is asymmetric thickening of the left posterior bladder wall.", {"bladder wall_thickening@posterior_wall"}),
    ("Heterogeneous enlarged prostate. No focal lesion.", {"-prostate"}),
    ("Endometrial mass measuring 3.4 cm.", {"uterus mass@endometrium 34"}),
    ("Cervical mass measuring 5.1 cm with parametrial extension.", {"uterus mass@cervix 51"}),
    ("2.1-cm left adrenal mass, less than 10 HU, compatible with lipid-rich adenoma.", {"adrenal mass/left 21"}),
    ("Right adrenal mass has grown from 2.0 cm to 3.1 cm.", {"adrenal mass/right 31"}),
    ("The previously described 1.2 cm segment 4 lesion is stable.", {"liver indeterminate@segment_4 12"}),
    ("Stable 1.2 cm cyst, segment 4.", {"liver cyst@segment_4 12"}),
    ("Nonenhancing cyst in the lower pole of the right kidney is 2.8 cm.", {"kidney cyst/right@lower_pole 28"}),
    ("Lesions: none in the liver.", {"-liver"}),
    ("No abnormal enhancement in the liver.", {"-liver"}),
    ("Liver: hepatic steatosis. No mass.", {"-liver"}),
    ("Post-cholecystectomy changes. Liver and spleen are within normal limits.", {"!gallbladder", "-liver", "-spleen"}),
    ("Gallbladder absent.", {"!gallbladder"}),
    ("Uterus and ovaries have been surgically removed.", {"!uterus"}),
    ("Solitary 3.5 cm splenic lesion; differential includes hemangioma or lymphoma.", {"spleen indeterminate 35"}),
    ("Multiple (more than 10) liver metastases.", {"liver metastasis x11+"}),
    ("At least 4 hepatic metastases, the largest 5 cm.", {"liver metastasis 50 x4+"}),
    (
        "Cyst in the left kidney measuring 2.0 cm, cyst in the right kidney measuring 1.0 cm.",
        {"kidney cyst/left 20", "kidney cyst/right 10"},
    ),
    ("In the left kidney, there are two cysts, 2.0 cm and 1.5 cm.", {"kidney cyst/left 20", "kidney cyst/left 15"}),
    (
        "There is a 2.0 cm left upper pole cyst and a 1.5 cm right lower pole cyst.",
        {"kidney cyst/left@upper_pole 20", "kidney cyst/right@lower_pole 15"},
    ),
    ("Liver cysts. Renal cysts. No suspicious lesions.", {"liver cyst x2+", "kidney cyst x2+"}),
    ("The 4.1 cm pancreatic head mass abuts the SMV and is 3 cm from the celiac axis.", {"pancreas mass@head 41"}),
    ("Duodenal diverticulum measuring 2.2 cm. No duodenal mass.", {"-duodenum"}),
    ("Distal esophageal mass with 4 cm craniocaudal extent.", {"esophagus mass@lower 40"}),
    ("Trace perihepatic fluid. Cirrhotic liver with nodular contour. No arterially enhancing lesion.", {"-liver"}),
    ("There is no mass, cyst, or hydronephrosis of either kidney.", {"-kidney"}),
    (
        "A 4 cm pancreatic mass with large nodes and enhancing lesions consistent with liver metastases.",
        {"pancreas mass 40", "liver metastasis x2+"},
    ),
    ("2 cm cyst, left kidney.", {"kidney cyst/left 20"}),
]


@pytest.mark.parametrize(("report", "expected"), STYLES, ids=[case[0][:60].replace("\n", " ") for case in STYLES])
def test_styles(report, expected):
    assert said(report) == expected
