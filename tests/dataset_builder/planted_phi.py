"""Made-up protected information of many kinds. No person, number or place in this file is real or meant."""

IN_TEXT = {
    "name": """John Smith|Maria Garcia-Lopez|SMITH, JOHN|Smith, John|Smith^John|DOE^JANE^Q|john smith|Mr. Brown|Mrs. O'Connor|Ms. Nguyen
Patient: Xylia Quandt|Patient name: Ola Nordmann|Name: Jörg Müller|Pt: Wang Xiaoming|Last name: Featherstonehaugh|JOHN Q. SMITH|Robert T. Johnson
Okonkwo, Chidi|Ahmed van der Berg|Siobhan O'Brien|Jean-Luc Moreau|Patient's name: ABERNATHY|Surname: Zhukov|Mother: Agnes Petrov|Husband: Bill
Thaddeus Vanderquist|Priya Raghunathan|José Ramírez|Wilhelmina Oster|J. Smith|J.R. Hernandez|Grace Johnson|Mark Stone|Contact: Lena Fuchs
the patient named Quill|name: john doe|Guadalupe Ortiz|Olumide Adebayo-Fashola|Mr Patel|Miss Havisham|Mary Anne Evans|Katarzyna Wojcik""",
    "physician": """Dr. Smith|Dr Zhivago|Doctor Strange|Prof. Lindqvist|Sarah Connor, MD|S. Connor, M.D.|Referring physician: Gregor Samsa
Dictated by: J. Watson|Electronically signed by Leonard McCoy, MD|Attending: HOUSE|Radiologist: Ana Bo|Resident: T. Kirk|Transcribed by: QQ
Ordering provider: Xu Li|Signed by: Dana Scully|Discussed with Tanaka|discussed with Quillfeather|Seen by Dr. B. Crusher|Interpreted by: Amy Pond DO
reported to Nurse Ratched|results were called to Jones|Read by: SPOCK|Beverly Howard, PA-C|technologist: Kim|cc: Henry Jekyll|DR. EDWARD HYDE
Reviewed by Fellow Johansson|Approved by: Raj Koothrappali|Primary care physician: Marcus Welby|HERR Dr. med. Faust|DR. O'MALLEY""",
    "medical_record_number": """MRN: 12345678|MRN 0034512|MRN# A1234567|Medical record number 889-12-345|Med Rec No: 55512|Patient ID: P-123456
Pt ID 998877|Hospital number: H1234567|Chart #44821|NHS number 943 476 5919|Policy number: XZ-448812|Medicare 1EG4-TE5-MK73|Account no. 7712345
Member ID: 88-1234-99|health card 1234 567 890|mrn=7654321|PID: 00451234|MR# 120034|Visit 4455667788|CSN 100200300|unit number 1234567""",
    "accession_number": """Accession: 20190314-0021|Accession number E12345678|Acc# CT19004512|ACC 7654321|RAD-2019-00123|S19-12345|Order: 88123456
Specimen: SP-20-0045|CT2019031400|accession no. A-55123|Requisition 445566|19-SP-10234""",
    "date": """03/14/2019|3/14/19|14.03.2019|2019-03-14|14-Mar-2019|March 14, 2019|14 March 2019|Mar 14|14th of March|20190314|03-14-2019|March 2019
DOB: 1/2/1950|DOB 01021950|born on 2 May 1944|Date of birth: May 5th, 1961|compared to CT from 3/14|performed on 12/03|Study date: 14/03/19
May 2nd|Sept. 9, 2020|3/2019|2019/03/14|exam of 7-4|Jun '21, 2021|dated 11/5|1. 2. 2018|14MAR2019|Date of service: Tuesday the 5th, 10:30
３/１４/２０１９|3‑14‑2019|since 4/17""",
    "phone": """(617) 555-0123|617-555-0123|617.555.0123|+1 617 555 0123|+44 20 7946 0958|555-0123|pager 12345|Phone: 6175550123|ext. 4456|x45678
Tel: 030 123456|call back at 555 0199|fax 617-555-0199|1-800-555-0100|+49 (0)30 901820|0151 555 01234""",
    "email": """john.smith@example.org|jsmith@hospital.example.com|j_s+ct@mail.example|JOHN@EXAMPLE.COM|smith [at] example.org|a.b@c-d.example""",
    "ssn": """123-45-6789|SSN 123456789|SSN: ***-**-6789|Social Security number 987 65 4321|987-65-4320""",
    "address": """12 Main Street|4500 N. Elm Ave|221B Baker Street|P.O. Box 123|Springfield, IL 62704|Boston, MA|zip 02115|02115-1234|Apt 4B
Address: 5 Hill Rd|lives in Gotham|resident of Smallville|10 Downing St|SW1A 2AA|1600 Pennsylvania Avenue|MA 02139|Suite 300""",
    "institution": """Springfield General Hospital|Mount Olympus Medical Center|St. Elsewhere's|Saint Judas Hospital|Mayberry Clinic|Hogwarts University
Gotham Imaging Center|Institute of Advanced Radiology|University of Atlantis|Kaiser Permanente|MGH|Riverdale Cancer Institute|Hospital: Northside
Northwind Radiology Associates|Lakeview Nursing Home|Klinikum Musterstadt|UPMC|Hospital of Narnia|the Brigham Young Memorial""",
    "age_over_89": """93-year-old|94 year old|91 yo|102 y/o|age 97|aged 95|Age: 90|090Y|92F|95 M|ninety-four year old|nonagenarian|in her nineties
99 yrs old|110-year-old woman|age of 96|90-year-old male|centenarian|93 y.o.|one hundred and two year old|101yo""",
    "url": """https://pacs.example.org/study/1|www.example.org/p|http://10.0.0.5/x""",
    "uid": "1.2.840.113619.2.55.3.604688119",
    "ip_address": "10.12.14.16",
    "number": "1234567|482913|4123 4567 8901 2345",
}

SENTENCES = (
    "CT of the abdomen shows a 2.1 x 1.8 cm hypodense lesion. {} There is no other focal lesion.",
    "FINDINGS: Liver: normal.\n{}\nIMPRESSION: No acute abnormality.",
    "The kidneys are normal, {}. The spleen is unremarkable.",
    "{}\nCLINICAL INDICATION: pain.",
    "Mild steatosis ({}).",
)

IN_IDS = """john_smith|Smith-John|JSMITH|johnsmith|MRN12345|mrn-0098|123-45-6789|19500102|1950-01-02|01021950|20190314_001|1234567|A1234567
garcia.maria.01|acc20190314|ACC-55123|case_MRN4455|CT_SMITH_JOHN_20190314|14MAR2019|617-555-0123|dob1950|JohnSmith|okafor_ct1|p_93yo|E12345678
UCSF-001|482913|1.2.840.113619.2.55.3.60|order88123|S19-12345|maria-01|jane.doe""".replace("\n", "|").split("|")

IN_HEADERS = """SMITH^JOHN|John Smith 1950|MRN 123|Acc:5|2019-03-14|GE MEDICAL SYSTEMS|anything|x|TE=2;Time=120000.000|/home/jsmith/ct""".split("|")


def items():
    """Every planted text item: kind and text."""
    return [(kind, text) for kind, lines in IN_TEXT.items() for text in lines.replace("\n", "|").split("|")]


CLEAN = """Hodgkin lymphoma and non-Hodgkin lymphoma are in the differential.
Crohn's disease of the terminal ileum. Known Crohn disease.
Bosniak IIF cyst, 12 mm, series 2 image 45.
Lesion measures 2.1 x 1.8 cm (series 2, image 45); previously 1.9 x 1.7 cm.
Segment 4/8 lesion, image 2/7.
Nodule in segments 2/3 measures 10 mm (2/7).
Couinaud segment VII lesion of 35 HU.
Status post Whipple procedure and Roux-en-Y anastomosis.
Wilms tumor. Meckel's diverticulum. Spigelian hernia. Baker cyst.
Foley catheter in the bladder. IVC filter of Greenfield type.
Child-Pugh B cirrhosis. Budd-Chiari syndrome cannot be excluded.
CT ABDOMEN AND PELVIS WITH CONTRAST
FINDINGS: LIVER: NORMAL. SPLEEN: NORMAL. PANCREAS: UNREMARKABLE.
Comparison: None. Technique: Axial images were obtained after 100 mL of Omnipaque 350.
58-year-old man with abdominal pain. 64 yo female. 89-year-old woman. Age 45.
5-year survival is 95 %. The 95 years survival table is not used. T12-L1 and L4-5 degenerative change.
No change over 3 months, 6 weeks and 2 years. Follow-up in 3-6 months.
Attenuation is 12-15 HU before and 90-110 HU after contrast. Aorta of 2.3 cm.
Multiple (5-10) subcentimeter lymph nodes, up to 8 mm in short axis.
Pancreas: The main duct is 3 mm. Kidneys: Normal. Adrenals: Normal. Bones: No suspicious lesion.
In 2019 the patient had a partial nephrectomy; in 2020 a colectomy.
kVp 120, 250 mAs, pitch 0.984, CTDIvol 12.43 mGy, DLP 612.5 mGy-cm.
Slice thickness 1.25 mm; matrix 512 x 512; 768 slices.
Lung-RADS 2. LI-RADS 4 observation. PI-RADS 3. RECIST 1.1.
1. Hepatic steatosis. 2. Cholelithiasis. 3. No hydronephrosis.
Outside hospital imaging is not available. The hospital course is not known.
A 1.5 cm hypoattenuating lesion in the pancreatic tail may represent a side branch IPMN.
Gleason 7 prostate cancer. Ann Arbor stage II. Ivor Lewis esophagectomy. Hartmann's pouch.
Krukenberg tumor and Sister Mary Joseph nodule are absent. Morison's pouch is free of fluid.
Small hiatal hernia. Mild Degenerative Changes. No Free Fluid. Gallbladder Fossa is clear.
Unchanged from prior. May represent a cyst. Mark artifact. Will follow.
Volume of 4/5 of the lobe is spared; grade 3/4 injury; 2/6 nodes.
The 10 mm nodule at image 3/120 and the 4 mm nodule at 3/88 are stable.""".splitlines()
