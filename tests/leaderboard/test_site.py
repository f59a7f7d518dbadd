"""The page itself: self-contained, inert against names, and working in a real browser where there is one."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser

import pytest
from synthetic_reports import make_report

from rsuper_bench.benchmark.report import SubmissionInfo
from rsuper_bench.leaderboard.add import entry_of
from rsuper_bench.leaderboard.build import render_site
from rsuper_bench.leaderboard.entry import Entry
from rsuper_bench.leaderboard.page import script_json

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAYLOADS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title='owned'//",
    "'\"><svg onload=document.title='owned'>",
    "{{ 7 * 7 }} ${7*7} &lt;b&gt;",
)


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def entries():
    """Five methods on patients, three on phantoms, one of them smoke, one withdrawn; names that attack."""
    made = []
    for index, name in enumerate(PAYLOADS):
        info = SubmissionInfo(team="t", method="m", description=name, training_data=(name,), licence=name)
        found = make_report(0.5 + index * 0.07, task="seven-tumors-v1", seed=index, submission=info)
        made.append(
            entry_of(found, team=name, method=f"M{index}", url="https://e.org/?a=1&b=2", report_digest="2" * 64)
        )
    for method, level, smoke in (("one", 0.6, False), ("two", 0.6, False), ("smoke", 0.5, True)):
        found = make_report(level, smoke=smoke, fingerprint=("a" if smoke else "b") * 12)
        made.append(entry_of(found, team="P", method=method, url=None, report_digest="2" * 64))
    withdrawn = made[0].model_dump() | {"method": "gone", "status": "withdrawn", "reason": PAYLOADS[1]}
    return [*made, Entry.model_validate(withdrawn)]


@pytest.fixture
def site(entries):
    return {path: data.decode() for path, data in render_site(entries).items()}


def pages(site):
    return {path: text for path, text in site.items() if path.endswith(".html")}


def test_there_is_a_page_for_every_listed_entry(site):
    assert len(pages(site)) == 1 + len(PAYLOADS) + 3
    index = Elements(site["index.html"])
    links = {attrs["href"] for tag, attrs in index.found if tag == "a" and attrs["href"].startswith("entries/")}
    assert links == set(pages(site)) - {"index.html"}


def test_pages_load_nothing_from_anywhere(site):
    for text in pages(site).values():
        for tag, attrs in Elements(text).found:
            assert tag not in {"img", "iframe", "object", "embed", "form", "base"}
            assert "src" not in attrs
            assert not any(name.startswith("on") or name == "style" for name in attrs), (tag, attrs)
            if tag == "link":
                assert attrs["href"].startswith("data:")
            elif "href" in attrs:
                assert re.match(r"https://|#|entries/|board\.|\.\./index\.html|[a-z0-9]", attrs["href"])
                assert not attrs["href"].lower().startswith("javascript:")
        assert "@import" not in text
        assert "url(" not in text


def test_the_content_security_policy_names_the_style_and_script_of_the_page(site):
    for text in pages(site).values():
        (policy,) = [attrs["content"] for tag, attrs in Elements(text).found if attrs.get("http-equiv")]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        running = re.findall(r"<(style|script)>(.*?)</\1>", text, re.DOTALL)
        for kind, body in running:
            digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in policy


def test_ids_are_unique_and_anchors_lead_somewhere(site):
    for text in pages(site).values():
        found = Elements(text).found
        ids = [attrs["id"] for _, attrs in found if "id" in attrs]
        assert len(set(ids)) == len(ids)
        anchors = {attrs["href"][1:] for tag, attrs in found if tag == "a" and attrs["href"].startswith("#")}
        assert anchors <= set(ids)


def test_names_are_shown_as_they_are(site):
    for index, payload in enumerate(PAYLOADS):
        assert payload not in site["index.html"]
        cells = unescape(site["index.html"])
        assert payload in cells
        page = next(text for path, text in pages(site).items() if f"__m{index}__" in path)
        assert payload not in page
        assert payload in unescape(page)


def test_labels_stand_where_the_figures_stand(site):
    assert "One anatomy is in several splits" in site["index.html"]
    for path, text in pages(site).items():
        if "p__smoke__" in path:
            assert "these figures are not evidence" in text
        if path.startswith("entries/p__"):
            assert "phantoms and planted lesions are not patients" in text
    assert "not re-measured here" in site["index.html"]
    assert "not the same cases" in " ".join(site["index.html"].split())


def test_json_in_a_script_element_cannot_end_it():
    value = {"a": "</script><script>&<!--\u2028"}
    text = script_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_many_entries_stay_small():
    found = make_report(0.7, task="seven-tumors-v1")
    base = entry_of(
        found, team="A team of some institute", method="m", url="https://example.org", report_digest="2" * 64
    )
    many = [
        base.model_copy(update={"method": f"A method with a name of some length {number}"}) for number in range(400)
    ]
    assert len(render_site(many)["index.html"]) < 400_000


BROWSER = """<!doctype html><title>quiet</title><iframe src="site/index.html" width="1200" height="900"></iframe>
<script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
addEventListener("load", async () => {
  const page = frames[0].document, out = {};
  const section = page.querySelector("section.board");
  const table = section.querySelector("table.rows");
  const order = () => Array.from(table.tBodies[0].rows, (row) => row.querySelector("th a").textContent);
  const head = (text) => Array.from(table.tHead.rows[0].cells).find((cell) => cell.textContent.startsWith(text));
  const means = () => Array.from(table.tBodies[0].rows, (row) => row.querySelector("td.mean").firstChild.textContent);
  out.title = page.title;
  out.inserted = page.querySelectorAll("img, td script, th script, td svg[onload]").length;
  out.start = order();
  out.sort = head("Rank").getAttribute("aria-sort");
  head("Spleen").querySelector("button").click();
  out.spleen = [head("Spleen").getAttribute("aria-sort"), head("Rank").getAttribute("aria-sort"), order()];
  head("Spleen").querySelector("button").click();
  out.again = [head("Spleen").getAttribute("aria-sort"), order()];
  const search = section.querySelector("input");
  search.value = "m3";
  search.dispatchEvent(new Event("input"));
  out.shown = Array.from(table.tBodies[0].rows).filter((row) => !row.hidden).length;
  out.status = section.querySelector("[role=status]").textContent;
  const select = section.querySelector("select");
  out.before = means();
  select.value = "auroc";
  select.dispatchEvent(new Event("change"));
  out.auroc = means();
  out.caption = table.caption.textContent;
  select.value = select.options[0].value;
  select.dispatchEvent(new Event("change"));
  out.back = means();
  out.wide = page.documentElement.scrollWidth - page.documentElement.clientWidth;
  frames[0].frameElement.width = 390;
  await wait(50);
  out.narrow = page.documentElement.scrollWidth - page.documentElement.clientWidth;
  document.body.textContent = JSON.stringify(out);
});
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: the page is not tried in a browser")
def test_in_a_browser_it_sorts_searches_switches_and_runs_no_name(tmp_path, site):
    for path, text in site.items():
        target = tmp_path / "site" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (tmp_path / "harness.html").write_text(BROWSER)
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    command = [CHROMIUM, *flags.split(), "--disable-component-update", "--allow-file-access-from-files"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom"]
    result = subprocess.run(
        [*command, (tmp_path / "harness.html").as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = json.loads(unescape(re.search(r"<body>(.*)</body>", result.stdout, re.DOTALL).group(1)))
    assert found["title"] == "rsuper-bench leaderboard"
    assert found["inserted"] == 0
    ranked = ["M4", "M3", "M2", "M1", "M0"]
    assert found["start"] == ranked
    assert found["sort"] == "ascending"
    assert found["spleen"] == ["descending", None, ranked]
    assert found["again"] == ["ascending", ranked[::-1]]
    assert found["shown"] == 1
    assert found["status"] == "1 of 5 entries"
    assert found["auroc"] == [f"{float(value) / 100:.3f}" for value in found["before"]]
    assert found["caption"].startswith("AUROC (ranks stay")
    assert found["back"] == found["before"]
    assert found["wide"] == found["narrow"] == 0
