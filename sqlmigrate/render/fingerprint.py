"""What makes a finding the same finding, also when its line has moved."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.lint import Finding


def fingerprints(found: Iterable[Finding]) -> list[str]:
    """One for each finding: of its file, its rule, the words of its line, and which of several alike it is."""
    seen: Counter[tuple[str, ...]] = Counter()
    made = []
    for one in found:
        key = (one.location.path, one.rule, " ".join(one.location.text.split()))
        seen[key] += 1
        made.append(hashlib.sha256("\0".join((*key, str(seen[key]))).encode(errors="surrogateescape")).hexdigest()[:32])
    return made
