"""Single problems as the data of a page: not too large to open, unable to end its element."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from .data import Answer, Item, Section

__all__ = ["LARGEST", "as_data"]

#: Bytes of single problems that a page holds unless told otherwise: a phone still opens it.
LARGEST: Final = 24_000_000
#: Characters of a text that are tried, one after the other, until it fits.
_CAPS: Final = (None, 2_000, 1_000, 400, 150)


def as_data(items: Sequence[Item], largest: int = LARGEST) -> tuple[str, str]:
    """JSON of the items in at most ``largest`` bytes, and what was left out for that ("": nothing).

    Texts are shortened first; then the last problems are left out.
    """
    for cap in _CAPS:
        rows = [_encoded(_item(item, cap)) for item in items]
        if _size(rows) <= largest:
            note = "" if cap is None else f"Texts are cut after {cap} characters; "
            return _joined(rows), note and f"{note}report.json has more of them."
    kept = _fitting(rows, largest)
    return _joined(rows[:kept]), (
        f"Only the first {kept} of {len(items)} problems are here, and texts are cut after "
        f"{cap} characters: all of them would make a page too large to open. report.json has the "
        "others."
    )


def _size(rows: Iterable[str]) -> int:
    return 2 + sum(len(row.encode()) + 1 for row in rows)


def _fitting(rows: Sequence[str], largest: int) -> int:
    left = largest - 2
    for place, row in enumerate(rows):
        left -= len(row.encode()) + 1
        if left < 0:
            return place
    return len(rows)


def _joined(rows: Iterable[str]) -> str:
    return "[" + ",".join(rows) + "]"


def _encoded(value: object) -> str:
    """Halves of characters are marked, since a page cannot hold them; < and & are written so that
    no text can end the element that it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _item(item: Item, cap: int | None) -> dict[str, Any]:
    return {
        "id": item.id,
        "task": item.task,
        "prompt": item.prompt[:cap],
        "gold": item.gold[:cap],
        "answers": [_answer(a, cap) for a in item.answers],
    }


def _answer(answer: Answer, cap: int | None) -> dict[str, Any]:
    return {
        "arm": answer.arm,
        "repeat": answer.repeat,
        "outcome": answer.outcome,
        "value": answer.value[:cap],
        "note": answer.note[:cap],
        "tokens": answer.tokens,
        "sections": [_section(s, cap) for s in answer.sections],
    }


def _section(section: Section, cap: int | None) -> dict[str, Any]:
    cut = section.cut + max(0, len(section.text) - (len(section.text) if cap is None else cap))
    more: dict[str, Any] = {"says": section.says} if section.says else {}
    if cut:
        more["cut"] = cut
    return {"kind": section.kind, "text": section.text[:cap], **more}
