"""Fingerprints by which a report recognises a finding again after its line has moved."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.lint import Finding


def fingerprints(findings: Iterable[Finding]) -> list[str]:
    """Returns a fingerprint for each finding.

    It is a hash of the file, the rule, the words of the line, and a number that distinguishes equal findings.
    """
    numbers: Counter[tuple[str, ...]] = Counter()
    hashes = []
    for finding in findings:
        key = (finding.location.path, finding.rule, " ".join(finding.location.text.split()))
        numbers[key] += 1
        hashes.append(
            hashlib.sha256("\0".join((*key, str(numbers[key]))).encode(errors="surrogateescape")).hexdigest()[:32]
        )
    return hashes
