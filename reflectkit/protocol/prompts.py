"""The texts that ask a model to reflect: two protocol constants, and our own prompts.

A constant is quoted byte for byte from where the trained model's authors published it: the model
was tuned or measured with exactly these characters, so it is data, not prose to be improved. The
prompts in ``PROMPTED`` are ours. They never change under a version once it is released: a better
text gets a new version, so that a measurement can name what it measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["CARD", "HARNESS", "PROMPTED", "SUFFIX", "Prompt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A system text that asks for the protocol, and the dialect its answers come in.

    ``source`` says whose words they are. ``purpose`` is one line for people who choose.
    """

    name: str
    version: str
    text: str = field(repr=False)
    dialect: str = "reflection"
    purpose: str = ""
    source: str = "reflectkit"


#: Protocol constant A: the system prompt of the model card (298 characters).
#: Source: huggingface.co/mattshumer/Reflection-Llama-3.1-70B, README.
CARD = Prompt(
    name="card",
    version="2024-09",
    purpose="chat with Reflection 70B",
    source="huggingface.co/mattshumer/Reflection-Llama-3.1-70B",
    text=(
        "You are a world-class AI system, capable of complex reasoning and reflection. "
        "Reason through the query inside <thinking> tags, and then provide your final response "
        "inside <output> tags. If you detect that you made a mistake in your reasoning at any "
        "point, correct yourself inside <reflection> tags."
    ),
)

#: Protocol constant B: the system prompt of the published evaluation harness (940 characters,
#: two spaces in "Thought  reasoning" included). Source: github.com/glaive-ai/simple-evals.
HARNESS = Prompt(
    name="harness",
    version="2024-10",
    purpose="reproduce the published evaluation of Reflection 70B",
    source="github.com/glaive-ai/simple-evals",
    text="""\
You are a world-class AI system capable of complex reasoning and reflection. \
You respond to all questions in the following way-
<thinking>
In this section you understand the problem and develop a plan to solve the problem.

For easy problems-
Make a simple plan and use COT

For moderate to hard problems-
1. Devise a step-by-step plan to solve the problem. \
(don't actually start solving yet, just make a plan)
2. Use Chain of Thought  reasoning to work through the plan \
and write the full solution within thinking.

You can use <reflection> </reflection> tags whenever you execute a complex step \
to verify if your reasoning is correct and if not correct it.


</thinking>

<output>
In this section, provide the complete answer for the user based on your thinking process. \
Do not refer to the thinking tag. Include all relevant information and keep the response \
somewhat verbose, the user will not see what is in the thinking tag.
</output>\
""",
)

#: Protocol constant: clients of the trained model put this at the end of the user's message.
SUFFIX = " Think carefully."

_V1 = """\
Answer in two parts, in this order, with every tag closed and nothing outside them.

<thinking>
Reason towards the answer in short steps. If you notice that a step you wrote is really wrong, \
open <reflection>, say what is wrong and why, put it right, close it with </reflection>, and go on \
from the corrected step. Most reasoning needs no reflection: write none to confirm a step that \
holds, and never make a mistake on purpose in order to correct it.
</thinking>
<output>
The complete answer. The reader sees only this part, so do not refer to the thinking.
</output>\
"""

_V1_FORMAT = f"""\
{_V1}

When the request fixes the form of the answer (a schema, a word or line count, code only, a given \
beginning or ending), keep <thinking> to a few words about that form, write no <reflection>, and \
make the text inside <output> follow the form exactly: no fence, greeting or remark that was not \
asked for.\
"""

#: Our own prompts for models that were never trained on the protocol, by version. ``-format``
#: abstains from reflecting where the form of the answer is prescribed: there, a reflection prompt
#: costs accuracy (on Llama 3.1 70B, by the vendor's own figures, HumanEval 82.3 to 67.1 and IFEval
#: 89.4 to 84.0, while MATH rose from 55.7 to 64.8; glaive.ai, post-mortem of 2024-10-02).
PROMPTED: Mapping[str, Prompt] = MappingProxyType(
    {
        "v1": Prompt(
            name="prompted", version="v1", text=_V1, purpose="reasoning tasks, open questions"
        ),
        "v1-format": Prompt(
            name="prompted",
            version="v1-format",
            text=_V1_FORMAT,
            purpose="tasks that prescribe the form of the answer",
        ),
    }
)
