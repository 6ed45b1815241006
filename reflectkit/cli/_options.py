"""What can be said on the command line."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, cast, get_args

from ..budget.ledger import PERIODS
from ..messages import Effort, ReasoningBudget
from ._exits import EXITS

__all__ = ["build", "secret"]

SHOWS = ("full", "summary", "hidden")
MODES = ("auto", "trained", "prompted", "plain")
VARIANTS = ("v1", "v1-format")
APIS = ("openai", "anthropic", "ollama")
KEY = "REFLECTKIT_API_KEY"
LEDGER = "REFLECTKIT_LEDGER"

#: What ``--policy`` may name, and the policy's own name.
POLICIES = {
    "correct": "Correct",
    "redraw": "Redraw",
    "revise": "Revise",
    "restart": "Restart",
    "retry-invalid": "RetryInvalid",
    "best-of": "BestOf",
    "vote": "Vote",
    "guarded": "GuardedReflection",
    "self-revise": "SelfRevise",
    "extend": "Extend",
}

EPILOG = "exit codes:\n" + "\n".join(f"  {row.code:>3}  {row.meaning}" for row in EXITS)

ASK = """Ask a model and show its answer as it comes, with thinking, reflections and output told
apart. Without --base-url and --model the embedded model answers: no key, no server, no download."""

PARSE = """Read a model's answer from a file or standard input and show its sections and, with line
and column, every departure from the protocol."""


DOCTOR = """Ask a live endpoint about thirty small questions, and say in plain
words what is wrong with it and how to mend it: tags taken out, a wrong tokenizer or template, small
contexts and caps, answers that run on or are swallowed."""

BUDGET = """Show and change the limits that a ledger keeps, and what was spent of them. The
ledger is the one that your applications use: sqlite:PATH, or the address of a Redis server."""


COMPARE = """Ask several arms the same problems, and report what they differ by: accuracy with
intervals and paired tests, tokens, and what their reflections did. Without --arm the embedded
weights are compared: plain, prompted, trained, and a vote at equal tokens."""

ARM = "NAME:KEY=VALUE,... with model, base_url, mode, variant, policy, attempts, temperature ..."


def build() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser("reflectkit", "Reflection for any chat model, made visible.")
    parser.add_argument("--version", action=_Version, nargs=0, help="the version, and nothing else")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _ask(_command(commands, "ask", ASK, "ask a model"))
    _parse(_command(commands, "parse", PARSE, "take a finished answer apart"))
    _doctor(_command(commands, "doctor", DOCTOR, "is this endpoint set up right?"))
    _budget(commands)
    _compare(_command(commands, "compare", COMPARE, "which way of answering is better?"))
    return parser


def secret(text: str) -> str:
    """The key that ``env:NAME`` or ``file:PATH`` points at; never the key itself, which every user
    of the machine could read in the process list."""
    how, _, where = text.partition(":")
    if how == "env" and where:
        return _from_environment(where)
    if how == "file" and where:
        return _from_file(Path(where))
    raise argparse.ArgumentTypeError(
        "give env:NAME or file:PATH; a key on the command line can be read by everyone here"
    )


def _from_environment(name: str) -> str:
    if not os.environ.get(name):
        raise argparse.ArgumentTypeError(f"the environment has no variable {name}")
    return os.environ[name].strip()


def _from_file(path: Path) -> str:
    try:
        key = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{path} cannot be read as text") from error
    if not key or "\n" in key:
        raise argparse.ArgumentTypeError(f"{path} must hold one line: the key")
    return key


class _Parser(argparse.ArgumentParser):
    """No guessing of abbreviations, line breaks kept, exit codes at the end."""

    def __init__(self, prog: str, description: str, **more: Any) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=EPILOG,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **more,
        )


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: reading metadata is slow."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"reflectkit {version('reflectkit')}")
        parser.exit()


def _command(commands: Any, name: str, description: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, prog=f"reflectkit {name}", description=description, help=summary
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    return parser


def _ask(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("prompt", nargs="*", help="the question; '-' or a pipe adds standard input")
    add("--show", choices=SHOWS, default="full", help="how much of the thinking (default: full)")
    add("--mode", choices=MODES, default="auto", help="trained, prompted or plain (default: auto)")
    add("--variant", choices=VARIANTS, default="v1", help="which prompt the prompted mode uses")
    add("--stream", action="store_true", help="with --json: one line for each event as it comes")
    add("-v", "--verbose", action="store_true", help="log to standard error")
    _model(parser.add_argument_group("model"))
    _sampling(parser.add_argument_group("sampling"))
    _spending(parser.add_argument_group("budget"))
    _correction(parser.add_argument_group("correction"))


def _model(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--model", help="its name on the server, or the path of a GGUF file")
    add(
        "--base-url", metavar="URL", help="an OpenAI-compatible server, such as http://host:8000/v1"
    )
    add(
        "--api-key",
        type=secret,
        metavar="WHERE",
        help=f"env:NAME or file:PATH (default: env:{KEY})",
    )
    add("--api", choices=APIS, default="openai", help="what the server speaks (default: openai)")
    add("--timeout", type=_positive, metavar="S", help="seconds for a server's whole answer")


def _sampling(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--system", metavar="TEXT", help="a system prompt of your own")
    add("--temperature", type=_not_negative, metavar="T", help="0 is greedy")
    add("--seed", type=int, metavar="N", help="for repeatable sampling, where the server can")
    add("--max-tokens", type=_count, metavar="N", help="at most this many tokens")
    add(
        "--think",
        type=_thinking,
        metavar="HOW",
        help="tokens of thinking at most, 'on', 'off', or an effort (low, medium, high ...)",
    )


def _spending(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--budget",
        type=_pairs,
        action="append",
        metavar="LIMITS",
        help="such as thinking=64,output=200,total=1000,seconds=30",
    )
    add("--scope", action="append", metavar="SCOPE", help="charge it too, such as tenant:acme")
    add("--ledger", type=_ledger, metavar="ADDRESS", help=f"whose limits those are (or {LEDGER})")


def _correction(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--verify",
        action="append",
        metavar="SPEC",
        help="check the answer: steps, number, json, json:SCHEMA.json, regex:PATTERN, "
        "ifeval:ID:{...}, protocol, python:module:function; may be given several times",
    )
    add("--attempts", type=_count, metavar="N", help="ask N times at most (with --verify: 3)")
    add(
        "--policy",
        choices=POLICIES,
        metavar="NAME",
        help=f"what follows a rejected answer: {', '.join(POLICIES)} (default: correct)",
    )


def _parse(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", nargs="?", default="-", metavar="FILE", help="'-' or nothing: standard input")
    add("--dialect", default="reflection", metavar="NAME", help="how sections are marked")
    add("--prefilled", action="store_true", help="the opening tag was in the prompt")
    either = parser.add_mutually_exclusive_group().add_argument
    either("--events", action="store_true", help="one JSON line for each event of the parser")
    either("--recover", action="store_true", help="if not one tag is there, go by the layout")
    add("--strict", action="store_true", help="exit 1 when there is any issue")


def _doctor(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("url", metavar="URL", help="a chat server, such as http://host:8000/v1")
    add("--api", choices=("openai", "anthropic"), default="openai", help="what it speaks")
    add("--model", default="", help="its name on the server, where that offers several")
    add("--profile", metavar="NAME", help="what the model should be, such as reflection-70b")
    add("--api-key", type=secret, metavar="WHERE", help=f"env:NAME or file:PATH (or env:{KEY})")
    add("--timeout", type=_positive, metavar="S", help="seconds for one question")
    add("--quick", action="store_true", help="look at prompts and tokens, and at one answer alone")


def _compare(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "problems",
        nargs="*",
        metavar="PROBLEMS",
        help="embedded, embedded:TASK, probes, or a .jsonl, .json or .csv file (default: embedded)",
    )
    add("--format", default="", metavar="NAME", help="gsm8k, math, mmlu, ifeval, gpqa or humaneval")
    add("--field", action="append", metavar="OURS=THEIRS", help="what your file calls a field")
    add("--n", type=_count, metavar="N", help="problems of a file or a task at most")
    add("--grade", metavar="NAME", help="a grader for all: numeric, choice, exact, contains ...")
    add("--arm", type=_arm, action="append", metavar="ARM", help=ARM)
    add("--repeats", type=_count, default=1, metavar="K", help="answers to each problem")
    add("--seed", type=int, default=0, metavar="N", help="of problems' order and of sampling")
    add("--concurrency", type=_count, default=8, metavar="N", help="problems under way at once")
    add("--no-vote", action="store_true", help="without the vote at equal tokens")
    add("--probe", action="store_true", help="with the probes for staged errors")
    add("--store", metavar="FILE", help="keep every answer there, and go on from it")
    add("--out", metavar="FOLDER", help="write report.json, report.md and report.html")
    add("--report", metavar="FILE", help="show a report.json again; nothing is asked")
    add("--title", default="", metavar="TEXT", help="the report's title")
    add("--plan", action="store_true", help="say what it would cost and could find; ask nothing")
    add("-q", "--quiet", action="store_true", help="no progress")
    group = parser.add_argument_group("for all arms")
    group.add_argument("--model", metavar="NAME", help="as for ask")
    group.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible server")
    group.add_argument(
        "--api-key", type=secret, metavar="WHERE", help=f"env:NAME or file:PATH (or env:{KEY})"
    )
    group.add_argument(
        "--temperature",
        type=_not_negative,
        default=0.7,
        metavar="T",
        help="of all arms that do not say another (default: 0.7)",
    )
    group.add_argument("--max-tokens", type=_count, metavar="N", help="of one answer")


def _arm(text: str) -> tuple[str, str]:
    name, _, told = text.partition(":")
    if not name.strip():
        raise argparse.ArgumentTypeError("write NAME:KEY=VALUE,KEY=VALUE")
    return name.strip(), told


def _budget(commands: Any) -> None:
    summary = "what scopes may spend, and what they spent"
    parser = commands.add_parser(
        "budget", prog="reflectkit budget", description=BUDGET, help=summary
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = _action(actions, "show", "how the limits stand, of one scope or of all")
    show.add_argument("scope", nargs="?", default="", metavar="SCOPE", help="such as tenant:acme")
    for name, summary in CHANGES.items():
        action = _action(actions, name, summary)
        action.add_argument("scope", metavar="SCOPE", help="such as tenant:acme")
        if name != "reset":
            _limit(action)


CHANGES = {
    "set": "keep a limit in the ledger: it binds every application that uses this scope",
    "unset": "take a limit of the ledger's own away; the figure does not matter",
    "top-up": "add to what may be spent in the present window",
    "reset": "forget what a scope spent and was topped up with",
}


def _action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(
        name, prog=f"reflectkit budget {name}", description=summary, help=summary
    )
    add = action.add_argument
    add(
        "--ledger", type=_ledger, metavar="ADDRESS", help=f"sqlite:PATH, redis://HOST (or {LEDGER})"
    )
    add("--json", action="store_true", help="one JSON object instead of a table")
    add("--traceback", action="store_true", help="show where an error came from")
    return action


def _limit(action: argparse.ArgumentParser) -> None:
    either = action.add_mutually_exclusive_group(required=True).add_argument
    either("--tokens", type=int, metavar="N", help="tokens of prompts and answers")
    either("--calls", type=int, metavar="N", help="calls")
    either("--money", metavar="X", help="money, in the currency of your prices")
    action.add_argument("--per", choices=PERIODS, help="the window (default: for ever)")


def _ledger(text: str) -> str:
    if text.partition("://")[2].rpartition("@")[0]:
        raise argparse.ArgumentTypeError(
            f"a password on the command line can be read by everyone here: put it into {LEDGER}"
        )
    return text


def _pairs(text: str) -> list[tuple[str, str]]:
    """``a=1,b=2``; what the names mean is checked later, by who knows them."""
    pairs = [tuple(part.strip() for part in pair.split("=")) for pair in text.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise argparse.ArgumentTypeError("write thinking=64,output=200,total=1000,seconds=30")
    return [(name, value) for name, value in pairs]


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _thinking(text: str) -> ReasoningBudget:
    if text in ("on", "off"):
        return ReasoningBudget(enabled=text == "on")
    if text.isdecimal():
        return ReasoningBudget(tokens=int(text))
    if text not in get_args(Effort):
        raise argparse.ArgumentTypeError(
            f"give a number of tokens, on, off, or one of {', '.join(get_args(Effort))}"
        )
    return ReasoningBudget(effort=cast("Effort", text))


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
