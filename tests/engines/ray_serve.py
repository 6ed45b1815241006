"""Ray Serve from its recipe, on one machine without cards; for the Python that has Ray and vLLM.

    python ray_serve.py RECIPE FOLDER TEMPLATE PORT

It prints "up" and serves until its input ends.
"""

from __future__ import annotations

import sys
from typing import Any

import yaml
from ray.serve.llm import LLMConfig, build_openai_app
from ray.serve.schema import ServeDeploySchema

import ray
from ray import serve

#: what takes the place of cards, and of a model that needs them
SMALLER = {
    "pipeline_parallel_size": 1,
    "dtype": "float32",
    "max_model_len": 1024,
    "max_num_seqs": 4,
    "gpu_memory_utilization": 0.1,
    "enforce_eager": True,
}


def smaller(recipe: Any, folder: str, template: str) -> dict[str, Any]:
    """The recipe's model, as the schema reads it, where this machine can serve it."""
    (application,) = ServeDeploySchema.model_validate(recipe).applications
    assert application.import_path == f"{build_openai_app.__module__}:build_openai_app"
    (model,) = application.args["llm_configs"]
    LLMConfig(**model)  # as it stands
    model["model_loading_config"]["model_source"] = folder
    model["engine_kwargs"] |= {**SMALLER, "chat_template": template}
    model["accelerator_config"] = {"kind": "cpu"}
    model["deployment_config"]["ray_actor_options"] = {"num_cpus": 0.5}
    del model["placement_group_config"]
    return dict(model)


def main(recipe: str, folder: str, template: str, port: str) -> None:
    with open(recipe, encoding="utf-8") as file:
        model = smaller(yaml.safe_load(file), folder, template)
    ray.init(num_cpus=4, _node_ip_address="127.0.0.1", include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(build_openai_app({"llm_configs": [LLMConfig(**model)]}))
    print("up", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
