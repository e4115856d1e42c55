"""What Codex is told about Stratum: the AGENTS.md block, the skill, and the sentence a session begins with."""

from __future__ import annotations

from typing import Final

from stratum.mcp_bridge.identity import FRAMING

AGENTS: Final = f"""## Plans and model calls: Stratum

{FRAMING}

- A failed step is corrected by its violation alone: do not start over, and do not read again what you have read.
- The budget is a hard stop. When it is exhausted, say what is done and what is left.
- Python code that calls a model is written with `@contract` and `@infer` from `stratum`: typed, bounded, retried by the runtime. No
  retry loops, no JSON read by hand. `stratum drift --diff HEAD` checks it."""

SKILL_NAME: Final = "stratum"
SKILL: Final = f"""---
name: {SKILL_NAME}
description: Plan, execute and audit any task of more than one step with Stratum's MCP tools, and write Python code that calls models with @infer and @contract. Use before touching files for a multi-step task, and whenever code calls an LLM.
---

# A task of more than one step

1. `stratum_plan` with the task and typed steps: id, what it does, what it depends on, what its result looks like, what must hold (`ensure`).
   Every problem comes back at once; correct them and call it again.
2. Show the user the plan. `stratum_execute` asks them for approval; nothing runs before.
3. Do the steps it hands out. Those handed out together do not depend on each other.
4. `stratum_step_done` with the result as the step's schema says. It is verified. A violation that comes back is all that is wrong: fix that.
5. At the end, or when the budget is exhausted, show the user `stratum_audit`.

# Code that calls a model

```python
from typing import Annotated, Literal

from pydantic import Field
from stratum import Budget, contract, infer


@contract
class Classification:
    category: Literal["safe", "review_needed", "blocked"]
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]


@infer(
    intent="Classify whether this content is safe to publish",
    ensure=lambda r: r.confidence > 0.75,
    budget=Budget(ms=30_000, usd=0.01),
    retries=3,
)
def classify(text: str) -> Classification: ...
```

`await classify(text)` under trio, `classify.sync(text)` in a script. Group calls in an `async def` with `@flow(budget=Budget(usd=...))`.
No loops that retry, no `json.loads` on an answer, no `except BudgetExceeded: pass`. `stratum drift` finds these.
"""
