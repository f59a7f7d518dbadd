"""The gates between a release and the world: PHI, licence, lint and leakage. All must pass; one that breaks fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from rsuper_bench.benchmark.release import Release
from rsuper_bench.dataset_builder.gate_finding import GateFinding
from rsuper_bench.dataset_builder.leakage import find_leaks
from rsuper_bench.dataset_builder.licences import licence_gate
from rsuper_bench.dataset_builder.lint import lint
from rsuper_bench.dataset_builder.phi.gate import scan_release

KEPT_FINDINGS = 1000  # in memory and in the answer; all are counted


@dataclass(frozen=True)
class GateResult:
    """What one gate found. ``findings`` are the first thousand of ``n_findings``."""

    name: str
    findings: tuple[GateFinding, ...]
    n_findings: int

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return self.n_findings == 0


def run_gates(
    release: Release, *, against: Sequence[Release] = (), known_words: Collection[str] = ()
) -> list[GateResult]:
    """Run every gate over a release.

    Args:
        release: What is to leave.
        against: Other releases it must not share patients, scans or reports with across splits.
        known_words: Words in lower case that are no names in these reports.
    """
    phi = _run("phi", lambda: scan_release(release.folder, known_words))
    if any("case_id" in finding.detail for finding in phi.findings):
        # The other gates name cases; with ids that may be names or numbers of patients they must not.
        unsafe = GateFinding("", "not_run", "case ids look like protected information: mend them first")
        return [phi, *(GateResult(name, (unsafe,), 1) for name in ("licence", "lint", "leakage"))]
    return [
        phi,
        _run("licence", lambda: licence_gate(release)),
        _run("lint", lambda: lint(release.folder)),
        _run("leakage", lambda: _leaks([release, *against])),
    ]


def _leaks(releases: Sequence[Release]) -> Iterator[GateFinding]:
    if any(release.smoke for release in releases):
        yield GateFinding("", "smoke", "one anatomy stands in several splits: a release to try the software with")
    for leak in find_leaks(releases):
        yield GateFinding("", "leak", str(leak))


def _run(name: str, gate: Callable[[], Iterator[GateFinding]]) -> GateResult:
    """Run a gate to its end. A gate that breaks has not passed."""
    kept: list[GateFinding] = []
    n = 0
    try:
        for finding in gate():
            n += 1
            if n <= KEPT_FINDINGS:
                kept.append(finding)
    except Exception as cause:  # whatever it is, nothing leaves
        n += 1
        kept.append(GateFinding("", "gate_broke", f"{type(cause).__name__} while checking"))
    return GateResult(name, tuple(kept), n)
