"""``reflectkit ask``, as a process, against a server that can break on purpose."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys

import pytest

from commands import Command, quiet_environment
from reflectkit.testing.loopback import LoopbackServer, Served, chat, page, refusal


@pytest.fixture
def command() -> Command:
    return Command()


SECRET = "sk-very-secret"
PIECES = (
    "<thin",
    "king>2 + 2 is 5. <reflection>No, 4.",
    "</reflection></thinking>",
    "<output>2",
    "8</output>",
)
GOOD = chat(*PIECES)
#: The chunk of the role comes first, so pieces begin at step 1.
HALF = GOOD.broken(4, "stall")


def asking(server: LoopbackServer, *more: str) -> list[str]:
    return [
        "ask",
        "--base-url",
        server.url,
        "--model",
        "loopback",
        "--mode",
        "trained",
        *more,
        "7*4?",
    ]


async def test_the_answer_is_told_apart(command: Command) -> None:
    async with LoopbackServer(GOOD) as server:
        result = await command(*asking(server))
    assert (result.code, result.err) == (0, "")
    assert result.out == "[thinking]\n2 + 2 is 5.\n\n[reflection]\nNo, 4.\n\n[output]\n28\n"


async def test_hidden_shows_the_answer_and_nothing_else(command: Command) -> None:
    async with LoopbackServer(GOOD) as server:
        result = await command(*asking(server, "--show", "hidden"))
    assert (result.code, result.out, result.err) == (0, "28\n", "")


async def test_a_summary_shows_no_word_of_the_thinking(command: Command) -> None:
    async with LoopbackServer(GOOD) as server:
        result = await command(*asking(server, "--show", "summary"))
    assert result.code == 0
    assert "[output]\n28\n" in result.out
    assert "1 reflection" in result.out
    assert "2 + 2" not in result.out + result.err
    assert "No, 4" not in result.out + result.err


async def test_json_is_one_object(command: Command) -> None:
    async with LoopbackServer(GOOD) as server:
        result = await command(*asking(server, "--json"))
    value = json.loads(result.out)
    assert (value["output"], value["reflections"]) == ("28", ["No, 4."])
    assert (value["mode"], value["ending"]) == ("trained", "complete")
    assert value["usage"]["total"] == 7 + len(PIECES)


async def test_json_lines_are_events_and_then_the_reply(command: Command) -> None:
    async with LoopbackServer(GOOD) as server:
        result = await command(*asking(server, "--json", "--stream"))
    *events, last = [json.loads(line) for line in result.out.splitlines()]
    assert "".join(event.get("source", "") for event in events) == "".join(PIECES)
    assert (last["event"], last["output"]) == ("reply", "28")


@pytest.mark.parametrize("show", ["summary", "hidden"])
@pytest.mark.parametrize("served", [GOOD, GOOD.broken(4, "drop")], ids=["whole", "cut"])
async def test_no_json_leaks_what_is_not_shown(command: Command, show: str, served: Served) -> None:
    async with LoopbackServer(served) as server:
        for more in ([], ["--stream"], ["-v"]):
            result = await command(*asking(server, "--json", "--show", show, *more))
            assert "2 + 2" not in result.out + result.err
            assert "No, 4" not in result.out + result.err


async def test_the_log_tells_of_the_call_and_not_of_its_words(command: Command) -> None:
    async with LoopbackServer(GOOD) as server:
        result = await command(*asking(server, "-v"))
    assert result.out.endswith("[output]\n28\n")
    assert "event='request'" in result.err
    assert "event='ending'" in result.err
    assert "7*4" not in result.err
    assert "No, 4" not in result.err


async def test_settings_go_with_the_request(command: Command) -> None:
    settings = ["--temperature", "0.5", "--seed", "3", "--max-tokens", "9", "--system", "Be short."]
    async with LoopbackServer(GOOD) as server:
        assert (await command(*asking(server, *settings))).code == 0
        body = server.requests[0].json
    assert (body["temperature"], body["seed"], body["max_tokens"]) == (0.5, 3, 9)
    assert "Be short." in body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("words", "stdin", "asked"),
    [
        (["What", "is it?"], None, "What is it?"),
        (["What is it?"], "a cup\n", "What is it?\n\na cup"),
        (["-"], "a cup\n", "a cup"),
        ([], "a cup\n", "a cup"),
    ],
)
async def test_the_question_comes_from_words_and_standard_input(
    command: Command, words: list[str], stdin: str | None, asked: str
) -> None:
    async with LoopbackServer(GOOD) as server:
        options = ["--base-url", server.url, "--model", "loopback", "--mode", "plain"]
        assert (await command("ask", *options, *words, stdin=stdin)).code == 0
        messages = server.requests[0].json["messages"]
    assert messages[-1]["content"].strip() == asked


async def test_a_key_reaches_the_server_alone(command: Command) -> None:
    async with LoopbackServer(refusal(401, f"bad key {SECRET}")) as server:
        result = await command(*asking(server, "-v"), REFLECTKIT_API_KEY=SECRET)
        assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    assert result.code == 4
    assert SECRET not in result.out + result.err


FAULTS = {
    "refused": (refusal(400, "no such thing"), 4),
    "unknown model": (refusal(404, "no such model"), 4),
    "a web page": (page(), 5),
    "an early end": (GOOD.broken(4, "drop"), 5),
    "a reset": (GOOD.broken(4, "reset"), 5),
    "broken JSON": (GOOD.insert(3, b"data: {oops\n\n"), 5),
    "silence": (HALF, 3),
    "the token cap": (chat("<output>2", finish="length"), 1),
    "an empty answer": (chat(""), 1),
}


@pytest.mark.parametrize(("served", "code"), FAULTS.values(), ids=FAULTS)
async def test_faults_have_codes_and_a_line_or_two(
    command: Command, served: Served, code: int
) -> None:
    async with LoopbackServer(served) as server:
        result = await command(*asking(server, "--timeout", "1"))
    assert result.code == code, result
    assert result.err.startswith("reflectkit: ")
    assert len(result.err.splitlines()) <= 3
    assert "Traceback" not in result.err


async def test_what_came_before_a_fault_is_kept(command: Command) -> None:
    async with LoopbackServer(GOOD.broken(4, "drop")) as server:
        text = await command(*asking(server))
        value = json.loads((await command(*asking(server, "--json"))).out)
    assert "2 + 2 is 5." in text.out
    assert value["partial"]["reflections"] == ["No, 4."]
    assert value["error"]["type"] == "BackendWireError"


async def test_nobody_there(command: Command) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        result = await command("ask", "--base-url", url, "--model", "m", "hi")
    assert result.code == 3
    assert url.removeprefix("http://").removesuffix("/v1") in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask"],
        ["ask", "  "],
        ["ask", "--base-url", "not a url", "--model", "m", "hi"],
        ["ask", "--stream", "hi"],
    ],
)
async def test_what_cannot_be_sent_is_a_usage_error(command: Command, arguments: list[str]) -> None:
    result = await command(*arguments)
    assert (result.code, result.out) == (2, "")
    assert 1 <= len(result.err.splitlines()) <= 2


async def test_a_traceback_is_there_for_those_who_ask(command: Command) -> None:
    async with LoopbackServer(page()) as server:
        result = await command(*asking(server, "--traceback"))
    assert "Traceback" in result.err


async def test_ctrl_c_ends_cleanly_with_what_came(command: Command) -> None:
    async with (
        LoopbackServer(HALF) as server,
        command.start(*asking(server)) as process,
    ):
        shown = await until(process, b"No, 4.")
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 20)
        await server.quiet()
    assert process.returncode == 130
    assert (shown + out).endswith(b"No, 4.\n")
    assert err == b""


async def test_ctrl_c_leaves_valid_json(command: Command) -> None:
    async with (
        LoopbackServer(HALF) as server,
        command.start(*asking(server, "--json", "--stream")) as process,
    ):
        shown = await until(process, b"reflection")
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 20)
    last = json.loads((shown + out).splitlines()[-1])
    assert (process.returncode, err) == (130, b"")
    assert (last["ending"], last["reflections"]) == ("cancelled", ["No, 4."])


async def test_a_reader_that_leaves_is_no_drama(command: Command) -> None:
    long = chat("<output>", *["word " * 2000] * 400, "</output>")
    async with LoopbackServer(long) as server, command.start(*asking(server)) as process:
        assert process.stdout is not None
        await process.stdout.read(10)
        process.stdout._transport.close()  # type: ignore[attr-defined]  # nothing public closes the reading end
        assert process.stderr is not None
        err = await asyncio.wait_for(process.stderr.read(), 30)
        await process.wait()
    assert (process.returncode, err) == (141, b"")


async def until(process: asyncio.subprocess.Process, mark: bytes) -> bytes:
    """Standard output, up to and with ``mark``."""
    assert process.stdout is not None
    return await asyncio.wait_for(process.stdout.readuntil(mark), 30)


async def test_a_servers_words_cannot_act_on_the_terminal(command: Command) -> None:
    """Errors quote the server, and standard error is a terminal most of the time."""
    for served in (
        refusal(400, "no \x1b]0;owned\x07\x1b[2J"),
        chat("a").insert(1, b"data: {oops \x1b[2J\x9b\n\n"),
    ):
        async with LoopbackServer(served) as server:
            result = await command(*asking(server))
        assert result.err
        assert not {"\x1b", "\x07", "\x9b"} & set(result.err)


@pytest.mark.parametrize("more", [(), ("--json",), ("--json", "--stream")])
async def test_a_full_disk_is_not_our_fault(more: tuple[str, ...]) -> None:
    async with LoopbackServer(GOOD) as server:
        code, err = await shell('exec "$@" >/dev/full', *asking(server, *more))
    assert code == 74
    assert "fault of reflectkit" not in err
    assert err.startswith("reflectkit: No space left on device")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_closed_streams_are_as_good_as_none(closed: str) -> None:
    async with LoopbackServer(GOOD) as server:
        code, err = await shell(f'exec "$@" {closed}', *asking(server))
    assert (code, err) == (0, "")


async def test_errors_do_not_go_among_the_answers() -> None:
    """Python prints to standard output where standard error is closed."""
    async with LoopbackServer(refusal(400, "no")) as server:
        code, said = await shell('exec "$@" 3>&2 2>&- >&3', *asking(server, "--json"))
    assert code == 4
    assert json.loads(said)["error"]["status"] == 400


async def test_json_has_every_error_of_ours(command: Command) -> None:
    """A program that reads JSON reads why there is no answer there too."""
    for arguments in (["ask", "--json"], ["ask", "--json", "--model", "nothing", "q"]):
        result = await command(*arguments)
        assert result.code == 2
        assert json.loads(result.out)["error"]["type"] == "ConfigurationError"


async def test_a_question_that_is_no_text() -> None:
    async with LoopbackServer(GOOD) as server:
        code, err = await shell('exec "$@" "$(printf \'\\377\')"', *asking(server))
    assert code == 2
    assert "UTF-8" in err
    assert not server.requests


async def test_json_has_the_summary(command: Command) -> None:
    async with LoopbackServer(GOOD) as server:
        shown = json.loads((await command(*asking(server, "--json", "--show", "summary"))).out)
        hidden = json.loads((await command(*asking(server, "--json", "--show", "hidden"))).out)
    assert shown["summary"]["reflections"] == 1
    assert shown["summary"]["characters"] == len("2 + 2 is 5. No, 4.")
    assert hidden["summary"] is None


async def shell(script: str, *arguments: str) -> tuple[int, str]:
    """The exit code and standard error of ``reflectkit`` started by a shell, as ``"$@"``."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", script, "sh", sys.executable, "-m", "reflectkit", *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=quiet_environment(),
    )  # fmt: skip
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, err.decode()
