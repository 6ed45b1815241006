"""The far side of ``MathEqual``: a script that compares with math-verify, one line of JSON each.

It imports nothing of ours. Its first line says that it is ready; it ends when its input does.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from typing import Any

#: What makes a text without dollar signs a formula, and no prose.
FORMULA = re.compile(r"[\\^_={}()\[\]]|\A[A-Za-z]\Z")


def compared(job: dict[str, Any]) -> dict[str, Any]:
    """Both sides as they were read, and whether they are equal; None for what could not be read."""
    from math_verify import parse, verify

    # Limits of time are kept outside: those of the library need signals in the main thread.
    gold = parse(job["gold"], parsing_timeout=None)
    if not gold and FORMULA.search(job["gold"]):
        gold = parse(f"${job['gold']}$", parsing_timeout=None)
    answer = parse(job["answer"], parsing_timeout=None)
    both = bool(gold) and bool(answer)
    equal = both and verify(gold, answer, timeout_seconds=None, float_rounding=job["digits"])
    return {"gold": bool(gold), "answer": str(answer[-1]) if answer else None, "equal": bool(equal)}


def main() -> None:
    sys.path[:] = json.loads(sys.stdin.readline())
    logging.disable(logging.CRITICAL)
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    compared({"gold": "1", "answer": "$1$", "digits": 6})  # what is slow to load is loaded now
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        try:
            said = compared(json.loads(line))
        except Exception as error:  # noqa: BLE001 - the library's own fault ends one comparison
            said = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
