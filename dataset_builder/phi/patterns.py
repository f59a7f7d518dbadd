"""What protected information looks like when it has a form: numbers, dates, addresses, labelled names, ages."""

# ruff: noqa: E501, ISC004 - one rule a line
from __future__ import annotations

import re
from collections.abc import Iterator

from rsuper_bench.dataset_builder.phi.hit import Hit
from rsuper_bench.dataset_builder.phi.words import words

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_FOREIGN_MONTH = (
    r"(?:januar|februar|marz|mai|juni|juli|oktober|dezember|janvier|fevrier|mars|avril|juin|juillet|aout|septembre|octobre"
    r"|novembre|decembre|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre"
    r"|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre)"
)
# Month and day, not a fraction or a range of something that is counted or measured.
_MONTH_DAY = (
    r"(?P<date>(?:0?[1-9]|1[0-2])[/-](?:0?[1-9]|[12]\d|3[01]))(?!\d|[/.-]\d|\s*(?:mm|cm|m?l|hu|%|x\b|of\b|nodes?\b|views?\b|images?\b"
    r"|slices?\b|cuts?\b|series\b|lesions?\b|days?\b|weeks?\b|months?\b|years?\b))"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:(?:19|20)\d\d)"
_SEPARATOR = r"\s*[:#=]?\s*(?:no\.?|num(?:ber)?|#|is|was)?\s*[:#=]?\s*"
_STREET = (
    r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|way|terrace|parkway|pkwy"
    r"|highway|hwy|circle|cir|square|sq|trail|crescent|close|strasse|straat)"
)
_STATE = (
    r"(?:A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[TA]"
    r"|W[AVIY])"
)
# A word that is written as names are; after a label every such word is one.
_NAME = r"(?:[A-Z][A-Za-z'\-]*\.?)"
_LABELLED = r"[A-Z][A-Za-z'\-.]*(?:[ ,^]+[A-Z][A-Za-z'\-.]*){0,4}"
_TITLE = (
    r"(?:dr|doctor|mr|mrs|ms|miss|mx|prof|professor|sir|dame|rev|sgt|capt|nurse|rn|np|pa-c|fr|hr|herr|frau|sr|sra|dra)"
)
_DEGREE = (
    r"(?:M\.?\s?D|D\.?\s?O|M\.?B\.?B\.?S|M\.?B\.?Ch\.?B|Ph\.?\s?D|R\.?N|P\.?A-?C|N\.?P|F\.?R\.?C\.?R|F\.?A\.?C\.?R"
    r"|FRCPC|CRNP|APRN|DPM|DDS|RPA|R\.?T\.?\(R\))"
)
_PERSON_LABEL = (
    r"(?:patient(?:'s)?(?:\s+name)?|pt(?:\s+name)?|(?:full|last|first|given|family|maiden|middle)\s+name|name|surname"
    r"|(?:next\s+of\s+kin)|mother|father|spouse|wife|husband|son|daughter|guardian|contact|caregiver)"
)
_PHYSICIAN_LABEL = (
    r"(?:(?:referring|ordering|attending|requesting|reading|interpreting|primary\s+care|consulting|treating|performing"
    r"|supervising|responsible|report(?:ing)?)\s+(?:physician|provider|doctor|radiologist|clinician|surgeon|md)"
    r"|physician|provider|radiologist|attending|resident|fellow|surgeon|technologist|technician|radiographer|sonographer|pcp|author"
    r"|transcriptionist|transcribed\s+by|dictated\s+by|dictating\s+(?:physician|provider)|(?:electronically\s+)?"
    r"(?:signed|approved|verified|authenticated|reviewed|finali[sz]ed|interpreted|read|reported|performed|entered"
    r"|ordered|requested|referred|typed)\s+by|signer|cc)"
)
_INSTITUTION = (
    r"(?:hospitals?|medical\s+cent(?:er|re)|clinic|infirmary|university|health\s+(?:system|cent(?:er|re)|care|network)"
    r"|healthcare|cancer\s+(?:cent(?:er|re)|institute)|imaging\s+(?:cent(?:er|re)|associates|group)|institute|hospice"
    r"|radiology\s+(?:associates|group|partners)|school\s+of\s+medicine|college\s+of\s+medicine|klinik(?:um)?"
    r"|krankenhaus|hopital|nursing\s+home|rehab(?:ilitation)?\s+cent(?:er|re)|memorial|NHS\s+trust|medicine\s+group)"
)
_ANY_INSTITUTION = (
    r"(?:the|an?|our|this|that|other|another|outside|outlying|referring|in|at|from|to|of|with|prior|and|or|same|per|by|ct|mri"
    r"|pet|us|hospital|field|day|general|community|regional|local|teaching|university|cancer|medical|health|children's|no)"
)

# What stands after a label of a person where nobody is meant.
_NOBODY = (
    r"(?i:(?:npo|(?:fe)?male|none|n/?a|not|unknown|unavailable|withheld|removed|redacted|anonymous|anonymi[sz]ed|deidentified|status"
    r"|stable|supine|prone|known|has|had|was|is|denies|presents|underwent|tolerated|with|without|no|see|as|the|an?)\b)"
)

# fmt: off
_PATTERNS: tuple[tuple[str, str, int], ...] = (
    ("email", r"\b[\w.+-]+ at [\w-]+ dot [a-z]{2,}\b", re.I),
    ("address", r"\b\d{1,4},?\s+(?i:rue|via|calle|avenida|rua|ulica)\s+\w+|\b\d{5}\s+[A-Z][a-z]+\b", 0),
    ("institution", r"\b(?:Mt|Mount)\.?\s+[A-Z][a-z]+|\bCedars[ -]Sinai\b|\bJohns\s+Hopkins\b|\bSloan[ -]Kettering\b", 0),
    ("accession_number", r"\bref(?:erence|\.)?\s*(?:no\.?)?\s*:?\s*[A-Z]*\d+[/-]\d{3,}", re.I),
    ("email", r"[\w.+-]+\s?@\s?[\w-]+(?:\.[\w-]+)+|[\w.+-]+ ?[\[(]at[\])] ?[\w-]+(?:\.| ?[\[(]dot[\])] ?)\w+", re.I),
    ("url", r"\b(?:https?|ftp)://\S+|\bwww\.\S+\.\S+", re.I),
    ("ip_address", r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)", 0),
    ("date", rf"(?<![\d-]){_YEAR}-(?:0[1-9]|1[0-2])(?![\d-])|\bQ[1-4][ /]*{_YEAR}\b|\bon\s+(?:0[1-9]|1[0-2])/(?:0[1-9]|[12]\d|3[01])(?![\d/])", 0),
    ("medical_record_number", r"\b(?:patient|pt|record|file|chart)\s*#\s*:?\s*\d+", re.I),
    ("institution", r"\b(?:room|bed|ward|zimmer|saal)\s+(?:no\.?\s*|number\s+)?#?\d+\w*", re.I),
    ("device", r"\b(?:serial(?=\s*(?:no\b|num|[#:]))|s/n|sn(?=\s*[:#]|\s+\d[\d-]{4})|vin|udi|dl(?=\s*#)|licen[sc]e(?:\s+plate)?|device\s+id)\b\.?\s*(?:no\b\.?|num(?:ber)?\b|#)?\s*[:#]?\s*(?:s/?n\b\.?\s*)?(?=[A-Z-]*\d)[A-Z\d][A-Z\d-]{3,}", re.I),
    ("url", r"(?<![\w.])@[A-Za-z]\w{2,}", 0),
    ("url", r"\b[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov)\b(?:/\S*)?", re.I),
    ("date", rf"\b{_DAY}\.?\s+(?:de\s+{_FOREIGN_MONTH}\b(?:\s+(?:de\s+)?{_YEAR})?|{_FOREIGN_MONTH}\s+(?:de\s+)?{_YEAR})", re.I),
    ("path", r"\b[A-Za-z]:\\\S+|\\\\[\w.-]+\\\S+|(?<![\w.])/(?:home|users|mnt|data|export|usr|var|tmp|media|srv|opt)/\S+|\bfile:/+\S+", re.I),
    ("email", r"\b[\w.+-]+ at [\w-]+\.(?:com|org|net|edu|gov|de|fr|uk|eu|io)\b", re.I),
    ("physician", r"\b(?i:signed|initialed|dictated|(?:read|reported|reviewed|approved)\s+by)\s*:?\s*(?:[A-Z]\.\s?){2,3}", 0),
    ("date", rf"\b(?:week\s+of|scheduled(?:\s+(?:for|on))?|due(?:\s+on)?|appointment(?:\s+on)?)\s+{_MONTH_DAY}", re.I),
    ("date", r"\b(?:on|since|before|after|around|over)\s+(?:christmas|thanksgiving|easter|halloween|new\s+year'?s)\b", re.I),
    ("date", rf"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+{_MONTH_DAY}", re.I),
    ("date", rf"(?<=prior )(?:ct|mri?|pet|study|exam|scan)\s+(?:of\s+)?{_MONTH_DAY}", re.I),
    ("physician", r"\b(?i:dictated|transcribed|typed)\s*:?\s*[A-Z]{2,3}\b(?:/[a-z]{2,3})?", 0),
    ("ssn", r"(?<!\d)\d{3}[- ]\d{2}[- ]\d{4}(?!\d)", 0),
    ("ssn", rf"\b(?:ssn|social\s+security){_SEPARATOR}[\dxX*-][\dxX* -]{{3,}}\d", re.I),
    ("phone", r"(?<![\d.])(?:\+?1[-. ]?)?\(?\d{3}\)?[-. /]\s?\d{3}[-. ]\d{4}(?!\d)", 0),
    ("phone", r"(?<!\d)\d{3}-\d{4}(?!\d)", 0),
    ("phone", r"\b(?:line|hotline|desk|number|dial)\s*:?\s*\d{3}[. ]\d{4}(?!\d)", re.I),
    ("phone", r"(?<!\w)\+\d{1,3}[-. ()]*\d(?:[-. ()]*\d){6,12}", 0),
    ("phone", r"(?<![\d.])0\d{2,4}[-. /]\d{3,4}[-. ]?\d{3,5}(?!\d)", 0),
    ("phone", r"\b(?:phone|tel(?:ephone)?|fax|office|mob|pgr|bleep|pager|beeper|cell|mobile|call(?:ed|\s?back)?|ext(?:ension)?)\b\.?"
              rf"{_SEPARATOR}(?:at\s+)?[+(]?\d[\d() .-]{{2,}}\d", re.I),
    ("phone", r"\bx\d{4,6}\b", 0),
    ("date", rf"(?<![\d/.-]){_YEAR}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?!\d)", 0),
    ("date", r"(?<![\d/.-])\d{1,2}(?P<s>[-/])\d{1,2}(?P=s)(?:\d{4}|\d{2})(?![\d/-]|\s*(?:mm|cm)\b)", 0),
    ("date", rf"(?<![\d/.-])\d{{1,2}}\.(?:\d{{1,2}}\.(?:\s?{_YEAR}|\d{{2}})|\s\d{{1,2}}\.\s?(?:{_YEAR}|\d{{2}}))(?!\w|\.\d|\s*(?:x\b|cm|mm))", 0),
    ("date", rf"\b{_DAY}(?:st|nd|rd|th)?[- ](?:of\s+)?{_MONTH}(?![a-z])(?:[-, ]+(?:\d{{4}}|'?\d{{2}}\b))?", re.I),
    ("date", rf"\b{_MONTH}(?<!may)[-\s]{_DAY}(?:st|nd|rd|th)?(?!\d|\.\d|\s*(?:mm|cm|x\s*\d|hu|%))(?:[-, ]+(?:\d{{4}}|'?\d{{2}}\b))?",
     re.I),
    ("date", rf"\bMay\s{_DAY}(?:st|nd|rd|th)?(?!\d|\.\d|\s*(?:mm|cm|x\s*\d|hu|%))", 0),
    ("date", rf"\b{_MONTH}[-,/ ]+(?:of\s+)?'?{_YEAR}\b", re.I),
    ("date", rf"(?<![\d/]){_DAY}(?:st|nd|rd|th)?\s?{_MONTH}\s?{_YEAR}\b", re.I),
    ("date", rf"(?<!\d)(?:0?[1-9]|1[0-2])/{_YEAR}(?!\d)", 0),
    ("date", rf"(?<!\d){_YEAR}/(?:0[1-9]|1[0-2])(?!\d)", 0),
    ("date", rf"(?<!\d){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)", 0),
    # Month and day without a year look like series and image: only where the words are about an examination or a day.
    ("date", r"\b(?:dated?|performed|obtained|compar(?:ed|ison)(?:\s+(?:to|with|is\s+made\s+(?:to|with)))?|stud(?:y|ies)|exam(?:ination)?s?"
             r"|scans?|ct|mri|pet|ultrasound|radiographs?|since|until|dob|born|admitted|discharged|surgery|seen|visit|biops(?:y|ied))"
             r"(?:\s+(?:scan|exam|study|abdomen|chest|pelvis))?"
             rf"\s*[:,]?\s*(?:(?:on|of|from|dated|since|performed|done|is|at|ct|mri)\s+)+(?:the\s+)?{_MONTH_DAY}", re.I),
    ("date", rf"{_MONTH_DAY}(?=\s+(?:exam(?:ination)?|stud(?:y|ies)|scan|ct|mri|pet|visit)\b)", re.I),
    ("date", rf"\b(?:dated|since|until|dob|born|admitted|discharged)\s+{_MONTH_DAY}", re.I),
    ("date", rf"\b{_MONTH}[- ]'\d\d\b", re.I),
    ("date", r"\b(?:dob|d\.o\.b\.?|date\s+of\s+(?:birth|service|exam(?:ination)?|study|procedure|death|admission|discharge)"
             rf"|birth\s?date|born(?:\s+on)?|(?:exam|study)\s+date|date){_SEPARATOR}(?=[^\n]{{0,24}}\d)[\w/., -]{{2,24}}", re.I),
    ("medical_record_number", r"\b(?:mrn?|m\.r\.n\.?|med(?:ical)?\s*rec(?:ord)?|mr\s?#|pt\.?\s?id|patient\s?id(?:entifier)?|pid|chart|unit|hospital"
             r"|nhs|health\s?(?:card|plan)|insurance|policy|member|beneficiary|medicare|medicaid|subscriber|account|acct"
             r"|visit|encounter|episode|csn|fin|record|file|case|id|device\s+serial|serial|licen[cs]e|npi|dea|passport|study\s?id)"
             rf"{_SEPARATOR}(?=[A-Z-]*\d)[A-Z]{{0,4}}-?\d[\dA-Z-]{{3,}}(?:[ -]\d{{2,}})*", re.I),
    ("accession_number", r"\b(?:acc(?:ession)?|order|req(?:uisition)?|specimen|exam\s?id|pathology|surgical|case)\b\.?"
             rf"{_SEPARATOR}(?=[A-Z-]*\d)[A-Z]{{0,4}}-?\d[\dA-Z-]{{3,}}", re.I),
    ("accession_number", r"\b[A-Z]{1,4}\d{2}-\d{3,}\b|\b[A-Z]{1,4}-?(?:19|20)\d\d-\d{2,}\b|\b[A-Z]{1,5}[-_]?\d{6,}\b|\b\d{2}-[A-Z]{1,3}-?\d{3,}\b"
             r"|\b\d{4}[A-Z]{1,3}\d{3,}\b|\b[A-Z]{1,2}\d{5,}[A-Z]?\b", 0),
    ("number", r"(?<![\d.])(?:\d{6,}|\d{2,4}(?:[- ]\d{3,4}){2,})(?!\d|\.\d|\s?(?:[munk]?U/|[mnpu]?g/|/u?L\b|cells|copies|voxels|mm3|mm\^3))", 0),
    ("uid", r"\b[0-2](?:\.\d+){5,}", 0),
    ("address", rf"\b\d{{1,6}}[A-Za-z]?,?\s+(?:[NSEW]\.?\s+)?(?:[A-Z0-9][\w'.-]*\s+){{1,4}}(?i:{_STREET})\b\.?", 0),
    ("address", r"\bp\.?\s?o\.?\s+box\s+\d+|\b(?:apt|apartment|flat|suite|unit)\.?\s*#?\s*\d+[a-z]?\b", re.I),
    ("address", rf"\b[A-Z][A-Za-z.'-]+(?: [A-Z][A-Za-z.'-]+){{0,2}},\s*{_STATE}\b(?:\s+\d{{5}}(?:-\d{{4}})?)?", 0),
    ("address", rf"\b{_STATE}\s+\d{{5}}(?:-\d{{4}})?\b", 0),
    ("address", r"\b(?:zip|postcode)\b\W{0,3}\d{4,5}\b", re.I),
    ("address", r"\b\d{5}-\d{4}\b|\b(?:zip|zip\s?code|postal\s?code|postcode)\b\W{0,3}\w+|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b", 0),
    ("address", r"\b(?:home\s+)?address\s*:\s*\S+|\b(?i:lives|resides|residing|resident)\s+(?:in|at|on|of)\s+[A-Z0-9]\w+", 0),
    ("institution", rf"(?<![\w-])(?:[A-Z][\w'.&-]*\s)*(?!(?i:{_ANY_INSTITUTION})\b)[A-Z][\w'.&-]*\s"
                    rf"(?:(?i:of|for|and|the|general|community|regional|teaching|cancer|children's|university)\s){{0,2}}(?i:{_INSTITUTION})\b", 0),
    ("institution", r"\b(?i:hospital|university|institute|clinic|infirmary|faculty)\s+(?:of|at|for)\s+(?:the\s+)?[A-Z]\w+", 0),
    ("institution", r"\b(?:institution|facility|hospital|clinic|department|location|site|ward|room|bed)\s*(?:name)?\s*:\s*(?P<unless>[A-Z0-9]\w*)", re.I),
    ("institution", r"\bS(?:t|aint)\.?\s+[A-Z][a-z]+(?:'s|s)\b(?!\s+(?:sign|disease))", 0),
    ("physician", rf"(?<![\w.])(?i:{_TITLE})\b(?:\.\s*|\s+)(?:[A-Z]\.\s*)*{_NAME}(?:[- ]{_NAME}){{0,2}}", 0),
    ("physician", rf"\b{_NAME}(?:[ ,-]+{_NAME}){{0,3}}(?:\s*,\s*|\s+){_DEGREE}\b\.?", 0),
    ("physician", rf"\b(?i:{_PHYSICIAN_LABEL})\s*:\s*(?:(?i:{_TITLE})\b\.?\s*)?{_LABELLED}", 0),
    ("physician", r"\b(?i:(?:dictated|transcribed|signed|approved|verified|authenticated|reviewed|finali[sz]ed|reported|read|interpreted|typed)"
                  rf"\s+by)\s*:?\s*(?:(?i:{_TITLE})\b\.?\s*)?{_LABELLED}", 0),
    ("physician", r"\b[A-Z]{2,3}[/:][a-z]{2,3}\b(?=\W*$)", re.M),
    ("physician", r"\b[A-Z]{2,3}:(?P<unless>[a-z]{2,3})\b", 0),
    ("physician", r"\bD:\s*[A-Z]{2,4}\b\W+T:\s*\w+", 0),
    ("physician", r"\b(?i:transcribed|typed|dictated)(?i:\s+by)?\s*:?\s*(?!by\b)(?P<unless>[a-z]{2,3})\b", 0),
    ("name", r"\b(?P<unless>(?:Mac|Mc|MAC|MC)(?=[A-Z])[A-Za-z]{4,}|O['\u2019][A-Z][A-Za-z]{3,})\b", 0),
    ("name", rf"\b(?i:{_PERSON_LABEL})\s*[:=]\s*(?!{_NOBODY}){_LABELLED}", 0),
    ("name", r"\b(?i:(?:patient|pt|name|surname)(?:'s)?\s*[:=])\s*" + rf"(?!{_NOBODY})" + r"[a-z]+(?:[ ,]+[a-z]+)?", 0),
    ("name", r"\b(?i:named|a\.?k\.?a\.?|initials)\s*:?\s*[A-Z][A-Za-z'.-]*(?:\s[A-Z][A-Za-z'.-]*)?", 0),
    ("name", r"\b[A-Za-z'-]{2,}\^[A-Za-z'-]+(?:\^[A-Za-z'-]*)*", 0),
    ("age_over_89", r"(?<![\d.])(?:9\d|1[0-2]\d)(?:\.\d+)?\+?\s*-?\s*(?:years?|yrs?|y|ans|jahre?|anni|anos)\b(?!\W*(?:survival|ago|later|earlier|experience|follow))", re.I),
    ("age_over_89", r"(?<![\d.])(?:9\d|1[0-2]\d)\s*(?:-?\s*y/?\.?o\.?\b|-?\s?(?:M|F|male|female|man|woman|gentleman|lady)\b)", 0),
    ("age_over_89", r"\b(?:aged?|age\s+of|age\s+is|years?\s+of\s+age)\s*[:=]?\s*(?:9\d|1[0-2]\d)(?!\d|\.\d|\s*(?:%|mm|cm|days?|weeks?|months?|hu))", re.I),
    ("age_over_89", r"\b0?(?:9\d|1[0-2]\d)Y\b", 0),
    ("age_over_89", r"\b(?:9\d|1[0-2]\d)\s*/\s*[MF]\b|\b(?:she|he|patient|who)\s+is\s+(?:9\d|1[0-2]\d)\b(?!\s*(?:mm|cm|%|kg|lb|hu)|\.\d)", re.I),
    ("age_over_89", r"\baged?\s*:?\s+(?:of\s+)?(?:ninety|(?:one|a)\s+hundred)\b", re.I),
    ("age_over_89", r"\b(?:ninety|(?:one|a)\s+hundred)(?:[- ](?:and[- ])?(?:one|two|three|four|five|six|seven|eight|nine|ten))?[- ]+years?\b"
                    r"|\b(?:nona|cente)genarian\b|\bcentenarian\b|\b(?:early|mid|late|her|his|their|the)[- ](?:nineties|90'?s)\b", re.I),
)
# fmt: on
PATTERNS = tuple((kind, re.compile(pattern, flags)) for kind, pattern, flags in _PATTERNS)


def scan_patterns(text: str) -> Iterator[Hit]:
    """Every span of plain text that has the form of protected information."""
    for kind, pattern in PATTERNS:
        for match in pattern.finditer(text):
            # A label that stands before a place of the body too: `Location: segment 6`, `Site: ascending colon`.
            if "unless" in pattern.groupindex and match["unless"].lower() in words("known_words") | words("eponyms"):
                continue
            yield Hit(*match.span("date" if "date" in pattern.groupindex else 0), kind)
