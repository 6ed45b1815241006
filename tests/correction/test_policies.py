"""What each policy asks, which answer it keeps, and why: exact scenarios without I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from loop_driver import LOOPING, REQUEST, Driver, attempt, scripted
from reflectkit.correction import (
    BestOf,
    Correct,
    Escalate,
    Extend,
    GuardedReflection,
    Policy,
    Redraw,
    ReflectIfUncertain,
    Restart,
    RetryInvalid,
    Revise,
    SelfRevise,
    Then,
    Vote,
    single,
    stop,
)
from reflectkit.correction.guard import LOOK_AGAIN
from reflectkit.correction.stop import State
from reflectkit.errors import ConfigurationError
from reflectkit.messages import Request
from reflectkit.reply import Attempt, Reply, Verdict

YES = Verdict(ok=True, name="rule")
NO = Verdict(ok=False, name="rule", feedback="It is too long.")
FORM = Verdict(ok=False, name="schema", by="schema", feedback="No JSON.")
UNKNOWN = Verdict(ok=None, name="rule", feedback="It crashed.")


def graded(score: float) -> Verdict:
    return Verdict(ok=None, by="judge", name="judge", score=score)


def played(policy: Policy, *answers: tuple[Any, ...] | str, **how: Any) -> tuple[Reply, Driver]:
    """The reply to answers, each a text or a text with verdicts."""
    rows = [(a,) if isinstance(a, str) else a for a in answers]
    attempts = [attempt(text, i, *said) for i, (text, *said) in enumerate(rows, 1)]
    driver = Driver(scripted(*attempts), **how)
    return driver.run(policy), driver


def outcome(reply: Reply) -> tuple[str, int, str, str]:
    return reply.status, reply.chosen, reply.stopped_by, reply.output


def requests(driver: Driver) -> list[Request]:
    return [r for r in driver.asked if isinstance(r, Request)]


# --- one after the other


@pytest.mark.parametrize("kind", LOOPING)
def test_the_first_accepted_answer_ends_a_loop(kind: Any) -> None:
    said = FORM if kind is RetryInvalid else NO
    reply, driver = played(kind(), ("7", said), ("42", YES))
    assert outcome(reply) == ("accepted", 2, "", "42")
    assert reply.because == "accepted by rule"
    assert driver.asked[0] == REQUEST


@pytest.mark.parametrize("kind", LOOPING)
def test_nobody_could_tell_is_no_reason_to_go_on(kind: Any) -> None:
    reply, _ = played(kind(), ("7", UNKNOWN))
    assert outcome(reply) == ("unverified", 1, "", "7")
    assert reply.because == "nobody could tell"


@pytest.mark.parametrize("kind", LOOPING)
def test_of_rejected_answers_the_best_is_kept(kind: Any) -> None:
    reply, _ = played(kind(), ("1", FORM, FORM), ("2", FORM), ("3", FORM, FORM))
    assert outcome(reply) == ("exhausted", 2, "attempts(3)", "2")
    assert reply.because == "rejected by 1, the fewest of all"


@pytest.mark.parametrize("kind", LOOPING)
@pytest.mark.parametrize(("limit", "status"), [("total", "budget"), ("seconds", "deadline")])
def test_what_cannot_be_paid_is_left_out(kind: Any, limit: str, status: str) -> None:
    reply, _ = played(kind(), ("1", FORM), ("2", FORM, FORM), paid=2, limit=limit)
    assert outcome(reply) == (status, 1, f"{limit} (test)", "1")


def test_redraw_says_nothing_of_what_was_wrong() -> None:
    _, driver = played(Redraw(), ("1", NO), ("2", NO), ("3", NO))
    assert requests(driver) == [
        REQUEST,
        replace(REQUEST, seed=4, temperature=0.7),
        replace(REQUEST, seed=5, temperature=0.7),
    ]


def test_revise_sends_the_last_draft_and_what_is_wrong_with_it() -> None:
    wrong = replace(NO, start=28, end=31)
    _, driver = played(Revise(), ("abc", wrong), ("def", FORM), ("ghi", NO))
    second, third = requests(driver)[1:]
    assert [m.role for m in second.messages] == ["system", "user", "assistant", "user"]
    assert second.messages[:2] == third.messages[:2] == REQUEST.messages
    assert second.messages[2].text == "abc"
    assert "- It is too long." in second.messages[3].text
    assert third.messages[2].text == "def"
    assert "No JSON." in third.messages[3].text
    assert "too long" not in third.messages[3].text
    assert "hm" not in "".join(m.text for m in (*second.messages, *third.messages))


def test_correct_shows_faults_of_form_and_draws_again_for_the_rest() -> None:
    _, driver = played(Correct(stop.attempts(4)), ("1", FORM), ("2", NO), ("3", NO, FORM), "4")
    shown, drawn, both = requests(driver)[1:]
    assert "No JSON." in shown.messages[-1].text
    assert drawn.messages == both.messages == REQUEST.messages


def test_only_what_is_invalid_is_retried() -> None:
    reply, driver = played(RetryInvalid(), ("1", NO))
    assert outcome(reply) == ("exhausted", 1, "", "1")
    protocol = Verdict(ok=False, name="protocol", feedback="No output section.")
    reply, driver = played(RetryInvalid(), ("1", protocol, NO), ("2", YES))
    assert reply.chosen == 2
    assert "It is too long." not in requests(driver)[1].messages[-1].text


def test_restart_brings_short_lessons_each_once() -> None:
    other = Verdict(ok=False, name="other", feedback="It is rude.")
    _, driver = played(Restart(), ("1", NO), ("2", NO, other), "3")
    last = requests(driver)[2].messages
    assert [m.role for m in last] == ["system", "user"]
    assert last[1].text.startswith("What is 6 * 7?\n\n")
    assert last[1].text.count("It is too long.") == last[1].text.count("It is rude.") == 1


# --- rules

RULES: list[tuple[stop.Rule, list[tuple[Any, ...]], int, str]] = [
    (stop.oscillation(), [("1", NO), ("2", NO), ("1", NO)], 3, "oscillation"),
    (stop.same_answer(), [("1", NO), ("2", NO), ("2.0", NO)], 3, "same_answer"),
    (stop.same_error(), [("1", NO), ("2", FORM), ("3", FORM)], 3, "same_error"),
    (stop.no_gain(2), [("1", NO), ("2", NO, NO), ("3", NO)], 3, "no_gain"),
    (stop.tokens(1), [("1", NO)], 1, "tokens(1)"),
    (stop.money(0.01, lambda u: u.total / 1000), [("1", NO)], 1, "money(0.01)"),
    (stop.attempts(2) & stop.same_error(), [("1", NO), ("2", NO)], 2, "attempts(2) and same_error"),
    (stop.attempts(3) | stop.same_error(), [("1", NO), ("2", NO)], 2, "same_error"),
    (stop.rule(lambda s: "enough of it"), [("1", NO)], 1, "enough of it"),
]


@pytest.mark.parametrize(("rule", "answers", "count", "why"), RULES, ids=[str(r[0]) for r in RULES])
def test_rules(rule: stop.Rule, answers: list[tuple[Any, ...]], count: int, why: str) -> None:
    reply, driver = played(Redraw(rule), *answers, *[("0", NO, NO, NO)] * 5)
    assert len(driver.attempts) == count
    assert (reply.status, reply.stopped_by) == ("exhausted", why)


def test_rules_that_do_not_hold_let_the_loop_go_on() -> None:
    changing = [(str(i), replace(NO, feedback="x" * i), *[NO] * (9 - i)) for i in range(6)]
    rules = [stop.oscillation(), stop.same_answer(), stop.same_error(), stop.no_gain(2)]
    for rule in rules:
        reply, _ = played(Redraw(rule | stop.attempts(6)), *changing)
        assert reply.stopped_by == "attempts(6)"


def test_seconds_are_those_of_the_answers() -> None:
    state = State((attempt("1", 1, seconds=2.0), attempt("2", 2, seconds=3.0)))
    assert stop.seconds(5)(state) == "seconds(5)"
    assert not stop.seconds(5.1)(state)


@pytest.mark.parametrize(
    "make",
    [
        lambda: stop.attempts(0),
        lambda: stop.tokens(-1),
        lambda: stop.same_answer(1),
        lambda: stop.no_gain(0),
        lambda: stop.rule(3),  # type: ignore[arg-type]  # wrong on purpose
        lambda: BestOf(0),
        lambda: Vote(3, 0),
        lambda: Vote(3, sure=0.2),
        lambda: GuardedReflection(1),
    ],
)
def test_what_cannot_work_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.hint


# --- several drafts


def test_the_best_of_several_by_grade() -> None:
    reply, driver = played(BestOf(3), *[(f"{i}", graded(i / 3)) for i in (1, 3, 2)])
    assert outcome(reply) == ("exhausted", 2, "attempts", "3")
    assert len({(r.seed, r.temperature) for r in requests(driver)}) == 3


def test_the_best_of_several_ends_with_an_accepted_one() -> None:
    reply, driver = played(BestOf(6, 2), ("1", NO), ("2", NO), ("3", YES), ("4", NO))
    assert outcome(reply) == ("accepted", 3, "", "3")
    assert len(driver.asked) == 4


def test_of_drafts_that_nobody_graded_the_first_is_kept() -> None:
    reply, _ = played(BestOf(2), "1", "2")
    assert (reply.status, reply.chosen) == ("kept_first", 1)


def test_a_vote_ends_when_it_is_decided() -> None:
    reply, driver = played(Vote(5), "7", "42", "42.0", "forty", "42")
    assert outcome(reply) == ("voted", 2, "", "42")
    assert reply.because == "3 of 5 drafts agree"
    reply, driver = played(Vote(9), *["42"] * 9)
    assert len(driver.asked) == 4
    assert reply.because == "4 of 4 drafts agree"


def test_rejected_drafts_have_no_vote() -> None:
    reply, _ = played(Vote(3), ("7", NO), ("7", NO), "42")
    assert outcome(reply) == ("voted", 3, "", "42")


def test_a_vote_that_nobody_casts() -> None:
    reply, _ = played(Vote(2), "<thinking>a</thinking><output></output>", "<thinking>b")
    assert (reply.status, reply.stopped_by) == ("exhausted", "attempts")


def test_a_vote_of_those_that_could_be_paid() -> None:
    reply, _ = played(Vote(5, 3), "7", "42", "42", paid=3)
    assert outcome(reply) == ("budget", 2, "total (test)", "42")


# --- the first answer is worth something


def test_the_first_answer_stays_when_another_agrees_or_they_disagree() -> None:
    for others in (["42"], ["7", "8"], ["7", "42"], ["<thinking>never ends"]):
        reply, driver = played(GuardedReflection(2), "42", *others)
        assert outcome(reply) == ("kept_first", 1, "", "42")
        assert len(driver.asked) == 1 + len(others)


def test_independent_answers_that_agree_replace_it() -> None:
    reply, driver = played(GuardedReflection(2), "7", "42", "42.0")
    assert outcome(reply) == ("voted", 2, "", "42")
    assert reply.because == "2 independent answers agree on it against the first"
    assert [r.messages for r in requests(driver)] == [REQUEST.messages] * 3


def test_it_may_look_at_its_own_answer() -> None:
    _, driver = played(GuardedReflection(2, draw=False), "7", "42", "42")
    for request in requests(driver)[1:]:
        assert [m.text for m in request.messages[2:]] == ["7", LOOK_AGAIN]


def test_a_verifier_that_accepts_another_answer_decides() -> None:
    reply, _ = played(GuardedReflection(3), ("7", UNKNOWN), ("42", YES))
    assert outcome(reply) == ("accepted", 2, "", "42")


def test_no_answer_is_not_worth_keeping() -> None:
    reply, _ = played(GuardedReflection(2), "<thinking>never ends", "42", "7")
    assert outcome(reply) == ("unverified", 2, "", "42")
    reply, _ = played(SelfRevise(), "42", "<thinking>never ends")
    assert reply.output == "42"


def test_a_rejected_answer_goes_to_the_other_policy() -> None:
    reply, _ = played(GuardedReflection(), ("7", NO), ("8", NO), ("42", YES))
    assert outcome(reply) == ("accepted", 3, "", "42")
    reply, _ = played(GuardedReflection(), ("7", NO), ("8", NO, NO), *[("9", NO, NO)] * 2)
    assert outcome(reply) == ("exhausted", 1, "attempts(3)", "7")
    reply, _ = played(GuardedReflection(), ("7", NO), ("8", NO), paid=1)
    assert outcome(reply) == ("budget", 1, "total (test)", "7")


def test_the_last_word_counts_where_nothing_guards() -> None:
    reply, driver = played(SelfRevise(2), "42", "7", "8")
    assert outcome(reply) == ("unverified", 3, "", "8")
    assert [len(r.messages) for r in requests(driver)] == [2, 4, 4]
    assert requests(driver)[2].messages[2].text == "7"


# --- longer thoughts

THOUGHT = "<thinking>6 * 7 = 41</thinking><output>41</output>"


def test_a_thought_is_gone_on_with() -> None:
    more = " no, 42</thinking><output>42</output>"
    reply, driver = played(Extend(2), (THOUGHT, NO), (more, YES))
    assert requests(driver)[1].prefix == "<thinking>6 * 7 = 41\nWait, "
    assert outcome(reply) == ("accepted", 2, "", "42")


def test_a_thought_gone_on_with_twice_is_sent_whole() -> None:
    prefixes: list[str] = []

    def model(request: Request, number: int) -> Attempt:
        prefixes.append(request.prefix)
        text = THOUGHT if number == 1 else f" or {number}</thinking><output>{number}</output>"
        return attempt(text, number, NO, request=request)

    reply = Driver(model).run(Extend(2))
    assert prefixes[2] == "<thinking>6 * 7 = 41\nWait,  or 2\nWait, "
    assert (reply.status, reply.chosen, reply.stopped_by) == ("exhausted", 1, "times")


def test_thinking_marked_in_another_way_is_opened_too() -> None:
    from reflectkit.protocol import parse

    spoken = attempt("x", 1, NO)
    other = replace(
        spoken, transcript=parse("[THINK]hm[/THINK]41", "magistral"), dialect="magistral"
    )
    driver = Driver(scripted(other, attempt("42", 2, YES)))
    driver.run(Extend(1))
    assert requests(driver)[1].prefix == "[THINK]hm\nWait, "


def test_thinking_that_a_server_split_off_cannot_be_gone_on_with() -> None:
    from reflectkit.protocol import parse_message

    split = parse_message({"reasoning_content": "hm", "content": "41"})
    driver = Driver(scripted(replace(attempt("x", 1, NO), transcript=split)))
    assert driver.run(Extend(2)).status == "exhausted"
    assert len(driver.asked) == 1


# --- one after another


def test_then_keeps_the_better_and_draws_anew() -> None:
    reply, driver = played(Then(single(), Revise()), ("7", NO, NO), ("8", NO), ("42", YES))
    assert outcome(reply) == ("accepted", 3, "", "42")
    assert requests(driver)[1] == replace(REQUEST, seed=4, temperature=0.7)
    assert len(reply.attempts) == 3
    reply, _ = played(Then(single(), Redraw()), ("7", NO), *[("8", NO, NO)] * 3)
    assert outcome(reply) == ("exhausted", 1, "attempts(3)", "7")
    reply, _ = played(Then(single(), Redraw()), ("7", NO), ("8", NO, NO), paid=2)
    assert outcome(reply) == ("budget", 1, "total (test)", "7")


def test_doubt_decides_and_the_first_answer_is_not_asked_for_twice() -> None:
    sure = ReflectIfUncertain(doubt=lambda a: 0.1)
    assert outcome(played(sure, "42")[0]) == ("kept_first", 1, "", "42")
    unsure = ReflectIfUncertain(GuardedReflection(2), doubt=lambda a: 0.9)
    reply, driver = played(unsure, "42", "7", "8")
    assert outcome(reply) == ("kept_first", 1, "", "42")
    assert len(driver.asked) == 3
    vote = ReflectIfUncertain(Vote(3, 3), doubt=lambda a: 0.9)
    reply, driver = played(vote, "7", "42", "42")
    assert outcome(reply) == ("voted", 2, "", "42")
    assert len(driver.asked) == 3
    reply, _ = played(vote, "7", "42", paid=1)
    assert outcome(reply) == ("budget", 1, "total (test)", "7")


def test_the_usual_doubt_is_that_of_the_tokens() -> None:
    for logprob, asked in ((-0.01, 1), (-2.0, 2)):
        first = attempt("42", 1, logprobs=({"token": "42", "logprob": logprob},))
        driver = Driver(scripted(first, attempt("42", 2)))
        driver.run(ReflectIfUncertain())
        assert len(driver.asked) == asked


def test_another_client_answers_what_was_not_accepted() -> None:
    reply, _ = played(Escalate(single(), None), ("7", NO), ("42", YES))
    assert outcome(reply) == ("accepted", 2, "", "42")
    reply, _ = played(Escalate(single(), None), ("7", NO), "42")
    assert outcome(reply) == ("unverified", 2, "times", "42")
    reply, _ = played(Escalate(single(), None), "7", "<thinking>never ends")
    assert outcome(reply) == ("unverified", 1, "times", "7")
    reply, _ = played(Escalate(single(), None), ("7", NO), paid=1)
    assert outcome(reply) == ("budget", 1, "total (test)", "7")
