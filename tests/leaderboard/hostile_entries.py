"""A board whose names attack it: five methods on patients, three on phantoms, one of them smoke, one withdrawn."""

from synthetic_reports import make_report

from rsuper_bench.benchmark.report import SubmissionInfo
from rsuper_bench.leaderboard.add import entry_of
from rsuper_bench.leaderboard.entry import Entry

PAYLOADS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title='owned'//",
    "'\"><svg onload=document.title='owned'>",
    "{{ 7 * 7 }} ${7*7} &lt;b&gt;",
)


def hostile_entries():
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
