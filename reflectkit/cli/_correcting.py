"""Answers that are checked and corrected: the options of ``reflectkit ask``, and how it looks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigurationError
from ..events import AttemptStarted, Event, Judged, Rejected, Retracted
from ._options import POLICIES
from ._printer import Printer, printable
from ._stdin import read_file
from ._values import place

if TYPE_CHECKING:
    from argparse import Namespace

    from ..correction import Policy
    from ..reply import Reply, Verdict
    from ..stream import ReplyStream
    from ..verify import Verifier

__all__ = ["Attempts", "correction", "policy_named", "status"]


def correction(options: Namespace) -> dict[str, Any]:
    """The settings that the options of correction stand for; empty where there are none.

    Raises ``ConfigurationError`` for a verifier that cannot be made, and for what has no meaning.
    """
    found: dict[str, Any] = {}
    if options.verify:
        found["verify"] = [_verifier(spec) for spec in options.verify]
    if options.policy:
        found["policy"] = policy_named(options.policy, options.attempts)
    if options.attempts:
        found["attempts"] = options.attempts
    return found


def _is_corrected(options: Namespace) -> bool:
    return bool(options.verify or options.policy or (options.attempts or 1) > 1)


# --- policies


def policy_named(name: str, attempts: int | None) -> Policy:
    """The policy that a name of ``POLICIES`` stands for, with so many attempts at most."""
    from .. import correction
    from ..correction import stop

    least = 3 if name == "guarded" else 2
    if attempts is not None and attempts < least:
        raise ConfigurationError(
            f"--attempts {attempts} leaves nothing for --policy {name} to do.",
            hint=f"Give {least} or more, or leave one of them out.",
        )
    kind: Callable[..., Policy] = getattr(correction, POLICIES[name])
    if attempts is None:
        return kind()
    more: dict[str, dict[str, Any]] = {
        "BestOf": {"n": attempts},
        "Vote": {"n": attempts},
        "SelfRevise": {"rounds": attempts - 1},
        "Extend": {"times": attempts - 1},
        "GuardedReflection": {
            "agree": attempts - 1,
            "otherwise": correction.Redraw(stop=stop.attempts(attempts - 1)),
        },
    }
    return kind(**more.get(POLICIES[name], {"stop": stop.attempts(attempts)}))


# --- verifiers


def _verifier(spec: str) -> Verifier:
    """``steps``, ``regex:PATTERN`` and so on, as a verifier."""
    name, colon, rest = spec.partition(":")
    if name not in _VERIFIERS:
        raise ConfigurationError(
            f"There is no verifier {spec!r}.", hint=f"Give one of {', '.join(VERIFIERS)}."
        )
    make, wants = _VERIFIERS[name]
    if bool(rest) != bool(colon) or (wants is not None and bool(rest) != wants):
        raise ConfigurationError(f"--verify {spec} is not complete.", hint=f"Write {_form(name)}.")
    return make(rest)


def _form(name: str) -> str:
    return " or ".join(form for form in VERIFIERS if form.partition(":")[0] == name)


#: What can be written behind ``--verify``.
VERIFIERS: Final = (
    "steps",
    "number",
    "json",
    "json:SCHEMA.json",
    "regex:PATTERN",
    'ifeval:ID:{"argument": value}',
    "protocol",
    "python:module:function",
)


def _steps(_: str) -> Verifier:
    from ..verify import Steps

    return Steps()


def _number(_: str) -> Verifier:
    return _ANumber()


class _ANumber:
    """The answer states a number: without one it is rejected, where ``Numeric`` could not tell."""

    name = "number"
    inline = True

    def __call__(self, draft: Any, /) -> Verdict:
        from dataclasses import replace

        from ..verify import Numeric

        verdict = Numeric(name=self.name)(draft)
        return verdict if verdict.ok else replace(verdict, ok=False)


def _json(path: str) -> Verifier:
    from ..verify import Schema

    if not path:
        return Schema(dict[str, Any] | list[Any], name="json")
    try:
        schema = json.loads(read_file(Path(path)))
    except ValueError as error:
        raise ConfigurationError(f"{path} is no JSON: {error}.") from error
    if not isinstance(schema, dict):
        raise ConfigurationError(f"{path} is no JSON schema.", hint="A schema is a JSON object.")
    return Schema(schema, name="json")


def _regex(pattern: str) -> Verifier:
    from ..verify import Matches

    return Matches(pattern, name="regex")


def _ifeval(text: str) -> Verifier:
    from ..verify import IFEval

    name, _, arguments = text.partition(":{")
    try:
        kwargs = json.loads("{" + arguments) if arguments else {}
    except ValueError as error:
        raise ConfigurationError(
            f"The arguments of {name} are no JSON: {error}.", hint=f"Write {_form('ifeval')}."
        ) from error
    return IFEval(name, **kwargs)


def _protocol(_: str) -> Verifier:
    from ..verify import WellFormed

    return WellFormed(name="protocol")


def _python(text: str) -> Verifier:
    """A function of a module, which may stand in the present folder."""
    module, _, path = text.partition(":")
    if not module or not path:
        raise ConfigurationError(
            f"python:{text} names no function.", hint=f"Write {_form('python')}."
        )
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        found: Verifier = attrgetter(path)(import_module(module))
    except Exception as error:
        raise ConfigurationError(
            f"python:{text} cannot be imported: {type(error).__name__}: {error}",
            hint="Modules of this folder and installed ones are found; --traceback shows more.",
        ) from error
    finally:
        sys.path.remove(folder)
    if not callable(found):
        raise ConfigurationError(f"python:{text} is a {type(found).__name__}, and no function.")
    return found


#: What makes each, and whether something has to stand behind its colon (None: it may).
_VERIFIERS: Final[dict[str, tuple[Callable[[str], Verifier], bool | None]]] = {
    "steps": (_steps, False),
    "number": (_number, False),
    "json": (_json, None),
    "regex": (_regex, True),
    "ifeval": (_ifeval, True),
    "protocol": (_protocol, False),
    "python": (_python, True),
}


# --- how it looks


class Attempts:
    """Shows people what becomes of each attempt.

    Where nothing but the answer is shown, it is held until it is known to be the answer.
    """

    def __init__(self, printer: Printer, options: Namespace) -> None:
        self._printer = printer
        self._shown = _is_corrected(options)
        self._held = self._shown and options.show == "hidden"
        self._rejected: set[int] = set()

    def takes(self, event: Event, stream: ReplyStream) -> bool:
        """Show an event of the loop; False for one that is not, and not held."""
        match event:
            case _ if self._held:
                return True
            case AttemptStarted(number=number) if self._shown:
                self._printer.note(f"attempt {number}")
            case Judged(number=number, verdicts=verdicts):
                source = next(a.transcript.source for a in stream.attempts if a.number == number)
                lines = [_line(verdict, source) for verdict in verdicts]
                self._printer.lines(lines)
            case Rejected(number=number):
                self._rejected.add(number)
            case Retracted(number=number) if number in self._rejected:
                self._printer.note(f"the answer of attempt {number} is withdrawn")
            case _:
                return False
        return True

    def reply(self, reply: Reply) -> None:
        """Show the answer, where it is not what was shown last."""
        if self._held:
            self._printer.text("output", reply.output)
        elif reply.attempts and reply.chosen != reply.attempts[-1].number:
            self._printer.note(f"the answer is that of attempt {reply.chosen}")
            self._printer.text("output", reply.output)

    def status(self, reply: Reply) -> str:
        """How the answer was come by, for standard error; "" where it was asked for once."""
        return status(reply) if self._shown else ""


def _line(verdict: Verdict, source: str) -> tuple[str, str]:
    """The style of a verdict's line, and its words: who says what, where, and why."""
    said = {True: "yes", False: "no", None: "unknown"}[verdict.ok]
    where = ""
    if verdict.start is not None and verdict.ok is False:
        where = ", line {}, column {}".format(*place(source, verdict.start))
    words = "\n  ".join(verdict.feedback.splitlines())
    return f"says {said}", f"[{verdict.name or 'verifier'}: {said}{where}] {words}".rstrip()


def status(reply: Reply) -> str:
    """Which attempt the answer is of, why, and how the loop ended."""
    ended = reply.status.replace("_", " ")
    if reply.stopped_by:
        ended += f", stopped by {reply.stopped_by}"
    return printable(f"attempt {reply.chosen} of {len(reply.attempts)}: {reply.because} ({ended})")
