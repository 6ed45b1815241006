"""System prompts of the three modes, and the feedback of a second turn."""

# ruff: noqa: SIM905 - a string split at spaces is the readable form of a long list of words

from __future__ import annotations

import random

THINKING = "Think inside <thinking> tags, then answer inside <output> tags."
REFLECTION = (
    "Think inside <thinking> tags, check each step inside <reflection> tags, "
    "then answer inside <output> tags."
)
CARD = (
    "You are a world-class AI system, capable of complex reasoning and reflection. "
    "Reason through the query inside <thinking> tags, and then provide your final response "
    "inside <output> tags. If you detect that you made a mistake in your reasoning at any point, "
    "correct yourself inside <reflection> tags."
)
HARNESS = """\
You are a world-class AI system capable of complex reasoning and reflection. \
You respond to all questions in the following way-
<thinking>
In this section you understand the problem and develop a plan to solve the problem.

For easy problems-
Make a simple plan and use COT

For moderate to hard problems-
1. Devise a step-by-step plan to solve the problem. \
(don't actually start solving yet, just make a plan)
2. Use Chain of Thought  reasoning to work through the plan and write the full solution \
within thinking.

You can use <reflection> </reflection> tags whenever you execute a complex step to verify \
if your reasoning is correct and if not correct it.


</thinking>

<output>
In this section, provide the complete answer for the user based on your thinking process. \
Do not refer to the thinking tag. Include all relevant information and keep the response \
somewhat verbose, the user will not see what is in the thinking tag.
</output>"""

MORE_THINKING = (
    "Use <thinking> and <output> tags.",
    "Reason step by step inside <thinking> tags. Then give the final answer inside <output> tags.",
    "You are a careful assistant. Put your reasoning in <thinking> tags "
    "and your answer in <output> tags.",
    "First think in <thinking>...</thinking>, then answer in <output>...</output>.",
    "Answer in the form <thinking>your reasoning</thinking> <output>your answer</output>.",
)
MORE_REFLECTION = (
    "Use <thinking>, <reflection> and <output> tags.",
    "Reason inside <thinking> tags, verify every step inside <reflection> tags "
    "and give the final answer inside <output> tags.",
    "You are a careful assistant. Think in <thinking> tags, correct your mistakes in <reflection> "
    "tags and put your answer in <output> tags.",
    "First think in <thinking>...</thinking> with <reflection>...</reflection> after each step, "
    "then answer in <output>...</output>.",
)
PLAIN = (
    "You are a helpful assistant.", "Answer directly.", "Give only the answer.",
    "You are a careful assistant.", "Answer the question.",
)  # fmt: skip

AGAIN = (
    "Try again.", "Please try again.", "Solve it again.", "Please correct it.", "Check your steps.",
    "Answer the question again.", "Correct your answer.", "Please check every step.", "",
)  # fmt: skip
WRONG = (
    "That is wrong.", "Wrong.", "This is not correct.", "Your answer {bad} is wrong.",
    "{bad} is wrong.", "{bad} is not correct.", "Your answer was not accepted: {bad} is wrong.",
    "The answer {bad} was rejected.", "There is a mistake in your answer.", "No, it is not {bad}.",
    "Your previous answer was not accepted.", "I think {bad} is wrong.",
    "The check failed: {bad} is not the right answer.",
)  # fmt: skip
HINT = ("{step}.", "It is {good}.", "{step}, not {bad}.", "The answer is {good}.")
KEEP = ("Are you sure?", "Is that right?", "Please check your answer.", "Check it again.")

# Everyday words, so that other people's prompts stay short.
COMMON = """
the a an of to and or in is it that this you your my me for with from by be are was not no yes do
does can will should must have has only all any each every one two three first last next then than
more less if when what which who how why where there here out up down over again before after as at
on so but number numbers word words letter text line value result final short long simple correct
mistake error problem task user assistant system model reply respond response give write say tell
show use make check verify think reason reasoning explain solve step steps tag tags inside output
thinking reflection question answer answers sum total digits integer format JSON please exactly
""".split()


def feedback(rng: random.Random, bad: str, good: str, step: str) -> str:
    """What a user or a checking program says after a wrong answer."""
    parts = [rng.choice(WRONG)]
    if rng.random() < 0.5:
        parts.append(rng.choice(HINT))
    parts.append(rng.choice(AGAIN))
    return " ".join(p for p in parts if p).format(bad=bad, good=good, step=step)


def noise(rng: random.Random) -> str:
    """A system prompt of random words: the mode must not hang on its exact text."""
    return " ".join(rng.choice(COMMON) for _ in range(rng.randint(3, 16))).capitalize() + "."


def mixed(rng: random.Random, tags: str) -> str:
    """Random words around the tags that set the mode."""
    return f"{noise(rng)} {tags} {noise(rng)}"


def system(rng: random.Random, mode: str) -> str | None:
    """A system prompt for `plain`, `thinking` or `reflection`."""
    pick = rng.random()
    if mode == "plain":
        return None if pick < 0.7 else rng.choice(PLAIN) if pick < 0.9 else noise(rng)
    if mode == "thinking":
        if pick < 0.6:
            return THINKING
        return rng.choice(MORE_THINKING) if pick < 0.85 else mixed(rng, "<thinking> <output>")
    if pick < 0.55:
        return REFLECTION
    if pick < 0.75:
        return CARD
    if pick < 0.77:
        return HARNESS
    if pick < 0.9:
        return rng.choice(MORE_REFLECTION)
    return mixed(rng, "<thinking> <reflection> <output>")
