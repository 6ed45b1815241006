"""What users write, for mypy to read: it must be taken as it stands. Nothing here is run."""

from __future__ import annotations

from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr

from langchain_reflectkit import (
    ChatReflectKit,
    LangChainBackend,
    OutputOnlyParser,
    ReflectionMiddleware,
    ReflectionOutputParser,
    SelfCorrecting,
    TokenBudgetMiddleware,
    with_reflection,
)
from reflectkit import Budget, Client, Limit, verify


class Person(BaseModel):
    name: str


@tool
def get_weather(location: str) -> str:
    """Get the weather at a location."""
    return location


def models(other: BaseChatModel) -> list[BaseChatModel]:
    return [
        ChatReflectKit(),
        ChatReflectKit(model="nano-reflect", temperature=0.7, stop=["x"], max_tokens=5),
        ChatReflectKit(
            base_url="http://host/v1", api_key=SecretStr("k"), timeout=5.0, max_retries=1
        ),
        ChatReflectKit(client=Client(LangChainBackend(other)), budget=Budget(total=5), attempts=2),
        with_reflection(other, mode="prompted", verify=verify.Steps()),
    ]


async def calls(model: ChatReflectKit) -> str:
    message: AIMessage = await model.ainvoke("q")
    async for chunk in model.astream([HumanMessage("q")]):
        print(chunk.text)
    bound = model.bind_tools([get_weather], tool_choice="any")
    print((await bound.ainvoke("q")).tool_calls, model.with_structured_output(Person).invoke("q"))
    await model.aclose()
    return message.text


def chains(model: ChatReflectKit) -> None:
    prompt = ChatPromptTemplate.from_template("{q}")
    read = (prompt | model | ReflectionOutputParser()).invoke({"q": "q"})
    print(read.output.strip(), read.thinking, [r.strip() for r in read.reflections])
    print((prompt | model | OutputOnlyParser()).invoke({"q": "q"}).strip())
    print(SelfCorrecting(prompt | model, verify=verify.Steps(), attempts=2).invoke({"q": "q"}))


def agents(model: ChatReflectKit) -> None:
    agent = create_agent(
        model,
        [get_weather],
        middleware=[
            ModelRetryMiddleware(),
            ReflectionMiddleware(verify.Steps(), max_attempts=2),
            TokenBudgetMiddleware(Budget(total=1_000), thread=Limit(tokens=5_000)),
        ],
    )
    print(agent.invoke({"messages": [HumanMessage("q")]}))
