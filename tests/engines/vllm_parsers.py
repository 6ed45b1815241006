"""What vLLM's own reasoning parsers make of an answer in our tags; for the Python that has vLLM.

python vllm_parsers.py FOLDER NAME...
"""

from __future__ import annotations

import json
import sys
from typing import Any

from transformers import AutoTokenizer
from vllm.reasoning import ReasoningParserManager

ANSWER = "<thinking>2 + 2 is 4</thinking>\n<output>4</output>"


def made_of(name: str, tokenizer: Any) -> list[str | None] | None:
    """Reasoning and content; None from a parser that cannot be made with this vocabulary."""
    try:
        parser = ReasoningParserManager.get_reasoning_parser(name)(tokenizer)
    except RuntimeError:
        return None
    return list(parser.extract_reasoning(ANSWER, None))


if __name__ == "__main__":
    known = AutoTokenizer.from_pretrained(sys.argv[1])
    print(json.dumps({name: made_of(name, known) for name in sys.argv[2:]}))
