"""``reflectkit doctor``: is this endpoint set up right?"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from ._exits import INCOMPLETE, OK
from ._options import KEY
from ._printer import printable
from ._values import write

if TYPE_CHECKING:
    from argparse import Namespace

    from ..probe import Examination

__all__ = ["doctor"]

_CLEAR = "\r\x1b[K"


def doctor(options: Namespace) -> int:
    """Examine and report; 0 when nothing is broken or degraded."""
    examination = asyncio.run(_examine(options))
    if options.json:
        write(examination.as_dict(), sys.stdout)
    else:
        print("\n".join(printable(line) for line in str(examination).split("\n")))
    return OK.code if examination.sound else INCOMPLETE.code


async def _examine(options: Namespace) -> Examination:
    from .. import probe

    shown = sys.stderr.isatty()
    try:
        return await probe.doctor(
            options.url,
            model=options.model,
            profile=options.profile,
            api_key=options.api_key or os.environ.get(KEY) or None,
            timeouts=options.timeout,
            progress=_show if shown else None,
        )
    finally:
        if shown:
            print(_CLEAR, end="", file=sys.stderr, flush=True)


def _show(about: str) -> None:
    print(f"{_CLEAR}asking: {printable(about)} ...", end="", file=sys.stderr, flush=True)
