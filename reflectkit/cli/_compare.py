"""``reflectkit compare``: the same problems through several arms, and a report."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigurationError
from ._correcting import policy_named
from ._exits import INCOMPLETE, OK
from ._options import KEY, POLICIES, secret
from ._printer import printable

if TYPE_CHECKING:
    from argparse import Namespace

    from ..comparison import Arm, Problem, Progress, Report

__all__ = ["compare"]

_CLEAR: Final = "\r\x1b[K"
#: seconds between two lines of progress that stay, where the output is no terminal
_SELDOM: Final = 30.0
_OFTEN: Final = 0.5

#: What an arm may be told, and how its text is read.
_TOLD: Final[Mapping[str, Callable[[str], Any]]] = {
    "model": str,
    "mode": str,
    "variant": str,
    "system": str,
    "temperature": float,
    "top_p": float,
    "max_tokens": int,
    "attempts": int,
    "policy": str,
    "base_url": str,
    "api_key": secret,
    "timeout": float,
    "kind": str,
}
#: The arms when nobody names one: the embedded weights.
_EMBEDDED: Final = (
    ("plain", "model=nano-base,mode=plain"),
    ("prompted", "model=nano-base,mode=prompted"),
    ("trained", "model=nano-reflect,mode=trained"),
)


def compare(options: Namespace) -> int:
    """Plan or run; 0 when every answer came."""
    if options.report:
        return _again(options)
    return asyncio.run(_compared(options))


def _again(options: Namespace) -> int:
    """Show a report that is there."""
    from ..comparison.report import Report

    try:
        text = Path(options.report).read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{options.report}: {error.strerror}.") from error
    _show(Report.from_json(text), options)
    return OK.code


async def _compared(options: Namespace) -> int:
    from .. import comparison

    problems = _problems(options)
    async with AsyncExitStack() as stack:
        arms = [await _arm(stack, name, told, options) for name, told in _named(options)]
        asked: dict[str, Any] = {
            "grade": options.grade,
            "repeats": options.repeats,
            "seed": options.seed,
            "store": options.store,
            "concurrency": options.concurrency,
            "equal_tokens": not options.no_vote,
            "probe": options.probe,
        }
        plan = await comparison.plan(problems, arms, **asked)
        print(printable(str(plan)), file=sys.stdout if options.plan else sys.stderr)
        if options.plan:
            return OK.code
        shown = _Shown(options)
        try:
            report = await comparison.compare(
                problems, arms, title=options.title, on_progress=shown, **asked
            )
        finally:
            shown.end()
    _show(report, options)
    return OK.code if not _failed(report) else INCOMPLETE.code


def _failed(report: Report) -> int:
    return sum(arm.outcomes["failed"] for arm in report.arms)


def _show(report: Report, options: Namespace) -> None:
    from ..comparison.report import as_markdown, write

    if options.json:
        print(report.to_json())
    else:
        print("\n".join(printable(line) for line in as_markdown(report).split("\n")))
    if options.out:
        for path in write(report, options.out):
            print(f"wrote {path}", file=sys.stderr)


# --- what is compared


def _problems(options: Namespace) -> list[Problem]:
    """``embedded``, ``embedded:TASK``, ``probes``, or a file."""
    from ..comparison import problems

    found: list[Problem] = []
    for source in options.problems or ["embedded"]:
        kind, _, task = source.partition(":")
        if kind == "embedded" and not Path(source).exists():
            found += problems.embedded(*([task] if task else []), n=options.n or 100)
        elif source == "probes":
            found += problems.probes()
        else:
            fields = dict(pair.split("=", 1) for pair in options.field or ())
            found += problems.load(source, options.format, limit=options.n, fields=fields)
    return found


def _named(options: Namespace) -> Sequence[tuple[str, str]]:
    """Names of arms and what they are told."""
    if options.arm:
        return tuple(options.arm)
    if options.base_url or options.model:
        return (("plain", "mode=plain"), ("prompted", "mode=prompted"))
    return _EMBEDDED


async def _arm(stack: AsyncExitStack, name: str, told: str, options: Namespace) -> Arm:
    from ..client import Client
    from ..comparison import Arm

    settings: dict[str, Any] = {"temperature": options.temperature}
    for shared in ("model", "base_url", "max_tokens"):
        if (value := getattr(options, shared)) is not None:
            settings[shared] = value
    settings |= _settings(name, told)
    url, kind = settings.pop("base_url", None), settings.pop("kind", None)
    if "policy" in settings:
        settings["policy"] = policy_named(settings["policy"], settings.get("attempts"))
    if url is not None:
        settings.setdefault("api_key", options.api_key or os.environ.get(KEY) or None)
    client = await stack.enter_async_context(Client(url, **settings))
    return Arm(name=name, client=client, kind=kind)


def _settings(name: str, told: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in told.split(",") if told else ():
        key, sign, text = (part.strip() for part in pair.partition("="))
        if not sign or key not in _TOLD:
            raise ConfigurationError(
                f"Arm {name!r} is told {pair.strip()!r}.",
                hint=f"Write NAME:KEY=VALUE,...; keys are {', '.join(_TOLD)}.",
            )
        if key == "policy" and text not in POLICIES:
            raise ConfigurationError(
                f"There is no policy {text!r}.", hint=f"One of {', '.join(POLICIES)}."
            )
        try:
            found[key] = _TOLD[key](text)
        except Exception as error:
            raise ConfigurationError(f"Arm {name!r}: {key} cannot be {text!r}.") from error
    return found


# --- how far it is


class _Shown:
    """One line that changes on a terminal; a line now and then anywhere else."""

    def __init__(self, options: Namespace) -> None:
        self._live = sys.stderr.isatty()
        self._quiet = options.quiet
        self._last = 0.0
        self._begun = False

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._quiet or now - self._last < (_OFTEN if self._live else _SELDOM):
            return
        self._last, self._begun = now, True
        line = printable(str(progress))
        end = "" if self._live else "\n"
        print(f"{_CLEAR if self._live else ''}{line}", end=end, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave a clean line."""
        if self._live and self._begun:
            print(_CLEAR, end="", file=sys.stderr, flush=True)
