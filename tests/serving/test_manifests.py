"""Containers, clusters and the files of options: valid by their schemas, and true to each other."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import Any

import pytest

from clients import LLAMA_CPP, MODEL, SGLANG, VLLM
from recipes import SERVING

pytestmark = pytest.mark.checkout

yaml = pytest.importorskip("yaml")  # the recipes group
jsonschema = pytest.importorskip("jsonschema")  # the recipes group
kubernetes_validate = pytest.importorskip("kubernetes_validate")  # the recipes group

COMPOSE = sorted((SERVING / "compose").glob("*.yaml"))
OBJECTS = sorted((SERVING / "kubernetes").glob("*.yaml"))
#: the oldest and the newest Kubernetes whose schema is at hand
VERSIONS = kubernetes_validate.utils.all_versions()


def read(name: str) -> Any:
    return yaml.safe_load((SERVING / name).read_text("utf-8"))


# --- containers -----------------------------------------------------------------------------------


def faults(compose: Any) -> list[str]:
    """What the compose specification has against it."""
    pytest.importorskip("check_jsonschema")  # the recipes group
    package = resources.files("check_jsonschema.builtin_schemas")
    schema = json.loads((package / "vendor" / "compose-spec.json").read_text("utf-8"))
    return [
        error.message
        for error in jsonschema.validators.validator_for(schema)(schema).iter_errors(compose)
    ]


@pytest.mark.parametrize("path", COMPOSE, ids=lambda p: p.stem)
def test_compose_files_are_valid(path: Any) -> None:
    assert faults(yaml.safe_load(path.read_text("utf-8"))) == []


def test_a_fault_in_a_compose_file_is_found() -> None:
    compose = read("compose/vllm.yaml")
    compose["services"]["vllm"]["prots"] = compose["services"]["vllm"].pop("ports")
    assert len(faults(compose)) == 1


@pytest.mark.parametrize("path", COMPOSE, ids=lambda p: p.stem)
def test_containers_keep_to_this_machine_and_want_a_key(path: Any) -> None:
    (service,) = yaml.safe_load(path.read_text("utf-8"))["services"].values()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert any("${REFLECTION_KEY:?" in str(v) for v in service["environment"].values())
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert service["healthcheck"]["test"][-1].endswith("/health")


def test_containers_start_what_is_there() -> None:
    vllm = read("compose/vllm.yaml")["services"]["vllm"]
    assert vllm["volumes"][0] == "..:/recipes:ro"
    assert vllm["working_dir"] == "/recipes", "where the template's path begins"
    file = vllm["command"][1]
    for recipe in ("fp8", "bf16"):
        assert (SERVING / file.replace("${RECIPE:-fp8}", recipe)).is_file()
    llama = read("compose/llama.cpp.yaml")["services"]["llama"]
    assert (SERVING / llama["entrypoint"][1].removeprefix("/recipes/")).is_file()
    script = (SERVING / "llama.cpp" / "serve.sh").read_text("utf-8")
    assert {"MODEL", "LLAMA_API_KEY", "LLAMA_HOST", "LLAMA_SERVER"} == set(llama["environment"])
    assert all(f"${{{name}:" in script for name in llama["environment"])


# --- clusters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
@pytest.mark.parametrize("path", OBJECTS, ids=lambda p: p.stem)
def test_objects_are_valid(path: Any, version: str) -> None:
    kubernetes_validate.validate(yaml.safe_load(path.read_text("utf-8")), version, strict=True)


def test_a_fault_in_an_object_is_found() -> None:
    deployment = read("kubernetes/deployment.yaml")
    container(deployment)["readynessProbe"] = container(deployment).pop("readinessProbe")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


def container(deployment: Any) -> Any:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


def loose(objects: dict[str, Any], kustomization: Any) -> set[str]:
    """Names that one object uses and no other has."""
    pod = objects["deployment"]["spec"]["template"]
    (made,) = kustomization["configMapGenerator"]
    files = {name.rpartition("/")[2] for name in made["files"]}
    volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
    one = container(objects["deployment"])
    ports = {port["name"] for port in one["ports"]}
    wrong = {m["name"] for m in one["volumeMounts"]} - volumes.keys()
    wrong |= {volumes["recipe"]["configMap"]["name"]} - {made["name"]}
    claimed = volumes["weights"]["persistentVolumeClaim"]["claimName"]
    wrong |= {claimed} - {objects["weights"]["metadata"]["name"]}
    wrong |= {one["args"][1], read("vllm/fp8.yaml")["chat-template"]} - files
    wrong |= {one[f"{kind}Probe"]["httpGet"]["port"] for kind in PROBES} - ports
    wrong |= {port["targetPort"] for port in objects["service"]["spec"]["ports"]} - ports
    labels = pod["metadata"]["labels"].items()
    for selector in (
        objects["service"]["spec"]["selector"],
        objects["deployment"]["spec"]["selector"]["matchLabels"],
    ):
        wrong |= {f"{k}={v}" for k, v in selector.items() - labels}
    return wrong


PROBES = ("startup", "readiness", "liveness")


def objects() -> dict[str, Any]:
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in OBJECTS}


def test_objects_name_each_other() -> None:
    kustomization = read("kustomization.yaml")
    assert {f"kubernetes/{path.name}" for path in OBJECTS} == set(kustomization["resources"])
    made = kustomization["configMapGenerator"][0]["files"]
    assert all((SERVING / name).is_file() for name in made)
    assert loose(objects(), kustomization) == set()


def test_a_loose_name_is_found() -> None:
    planted = copy.deepcopy(objects())
    planted["service"]["spec"]["selector"]["app"] = "reflexion"
    planted["weights"]["metadata"]["name"] = "weights"
    found = loose(planted, read("kustomization.yaml"))
    assert found == {"app=reflexion", "reflection-weights"}


def test_no_request_comes_before_the_model_can_answer() -> None:
    one = container(objects()["deployment"])
    assert {one[f"{kind}Probe"]["httpGet"]["path"] for kind in PROBES} == {"/health"}
    startup = one["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 3600
    assert one["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_keys_come_from_a_secret() -> None:
    one = container(objects()["deployment"])
    secret = {e["name"] for e in one["env"] if "secretKeyRef" in e.get("valueFrom", {})}
    assert secret == {"VLLM_API_KEY", "HF_TOKEN"}


# --- options --------------------------------------------------------------------------------------

FILES = {
    "vllm/bf16.yaml": ("model", "max-model-len", VLLM),
    "vllm/fp8.yaml": ("model", "max-model-len", VLLM),
    "vllm/reasoning.yaml": ("model", "max-model-len", VLLM),
    "sglang/config.yaml": ("model-path", "context-length", SGLANG),
}


@pytest.mark.parametrize("name", FILES)
def test_servers_and_clients_agree(name: str) -> None:
    options, (model, context, url) = read(name), FILES[name]
    assert (options[model], options[context]) == (MODEL, 8192)
    assert url == f"http://{options['host']}:{options['port']}/v1"
    assert (SERVING / options["chat-template"]).is_file()
    assert ("reasoning-parser" in options) == (name == "vllm/reasoning.yaml")


def test_llama_cpp_and_its_client_agree() -> None:
    llama = pytest.importorskip("llama")  # it needs reflectkit[local]
    options = dict(llama.command((SERVING / "llama.cpp" / "serve.sh").read_text("utf-8")))
    assert f"http://{llama.usual(options['--host'])}:{options['--port']}/v1" == LLAMA_CPP


def test_ray_is_vllm_over_two_machines() -> None:
    (application,) = read("ray/serve.yaml")["applications"]
    (model,) = application["args"]["llm_configs"]
    engine, alone = model["engine_kwargs"], read("vllm/bf16.yaml")
    assert model["model_loading_config"]["model_id"] == alone["model"]
    for key in ("dtype", "max-model-len", "override-generation-config", "max-num-seqs"):
        assert engine[key.replace("-", "_")] == alone[key]
    bundles = model["placement_group_config"]["bundles"]
    cards = engine["tensor_parallel_size"] * engine["pipeline_parallel_size"]
    assert sum(bundle["GPU"] for bundle in bundles) == cards == alone["tensor-parallel-size"]
