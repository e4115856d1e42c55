"""LangGraph: a node a step, each joined to all it waits for. Compiling the graph is not measured."""

from typing import TypedDict

from langgraph.graph import END, START, StateGraph
from peer import graph, timed_in_asyncio


class State(TypedDict, total=False):
    nothing: int


async def step(state: State) -> State:
    return {}


parents = graph()
followed = {parent for before in parents for parent in before}
builder = StateGraph(State)
for number in range(len(parents)):
    builder.add_node(f"s{number}", step)
for number, before in enumerate(parents):
    if before:
        builder.add_edge([f"s{parent}" for parent in before], f"s{number}")
    else:
        builder.add_edge(START, f"s{number}")
    if number not in followed:
        builder.add_edge(f"s{number}", END)
compiled = builder.compile()
timed_in_asyncio(lambda: compiled.ainvoke({}, {"recursion_limit": len(parents) + 10}), units=len(parents))
