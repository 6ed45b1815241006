"""The prompts: two constants byte for byte, and what ours must and must not say."""

from __future__ import annotations

import hashlib

import pytest

from reflectkit.protocol.prompts import CARD, HARNESS, PROMPTED, SUFFIX, Prompt


def test_the_card_prompt_is_the_published_one() -> None:
    assert len(CARD.text) == 298
    digest = hashlib.sha256(CARD.text.encode()).hexdigest()
    assert digest == "c782799f43779e85566af2bc2dd0ffd4b24608f2f95ed51329d5f35daf35c49f"


def test_the_harness_prompt_is_the_published_one() -> None:
    assert len(HARNESS.text) == 940
    digest = hashlib.sha256(HARNESS.text.encode()).hexdigest()
    assert digest == "95fb478ebad851474bc5df42406a13a37a6e00e31e01e92715a8991f98204045"


def test_the_suffix_is_the_published_one() -> None:
    assert SUFFIX == " Think carefully."


#: A released text never changes: a better one gets a new version.
FROZEN = {
    "v1": "5a5fa7942c5df7d4ab9392dbc370f61856e5ffa6309080df5f71379bcc1c12c5",
    "v1-format": "a927cc13b47934e97ae0e59c8393e137dd9982183fd7fda4a6d697e8a2f21067",
}


@pytest.mark.parametrize("version", PROMPTED)
def test_a_released_prompt_never_changes(version: str) -> None:
    prompt = PROMPTED[version]
    assert prompt.version == version
    assert hashlib.sha256(prompt.text.encode()).hexdigest() == FROZEN[version]


@pytest.mark.parametrize("prompt", [CARD, HARNESS, *PROMPTED.values()], ids=lambda p: p.version)
def test_every_prompt_names_the_tags_of_its_dialect(prompt: Prompt) -> None:
    assert prompt.dialect == "reflection"
    assert all(f"<{tag}>" in prompt.text for tag in ("thinking", "reflection", "output"))
    assert prompt.text == prompt.text.strip()


@pytest.mark.parametrize("prompt", PROMPTED.values(), ids=lambda p: p.version)
def test_our_prompts_forbid_planted_mistakes_and_stay_short(prompt: Prompt) -> None:
    assert "on purpose" in prompt.text
    assert "<reflection> " not in prompt.text.split("<output>")[1]
    assert len(prompt.text.split()) < 200


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PROMPTED["v1"] = CARD  # type: ignore[index]  # wrong on purpose
