"""What vLLM's own parser makes of ``vllm serve ARGUMENTS``, as JSON; for the Python that has vLLM.

python vllm_arguments.py --config vllm/bf16.yaml
"""

from __future__ import annotations

import json
import sys

from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser


def parsed(arguments: list[str]) -> dict[str, object]:
    """Every argument's value; refuses what the server would refuse before it loads the model."""
    root = FlexibleArgumentParser(prog="vllm")
    make_arg_parser(root.add_subparsers(dest="subparser", required=True).add_parser("serve"))
    given = root.parse_args(["serve", *arguments])
    validate_parsed_serve_args(given)
    return dict(vars(given))


if __name__ == "__main__":
    print(json.dumps(parsed(sys.argv[1:]), default=str))
