"""How an agent reaches Stratum: the MCP server, its tools, and what it asks of a person.

Above: nothing but the command line. Below: the engine, whose plans it serves. From the outside in:

- Serving: `server` (the tools around one `bridge`), `serving` (from start to signal), `handshake` and `identity` (answered before
  anything heavy is there); over `stdio` by `wire` and `trio_wire`, without what is `unlike_a_message`; over `http` through a
  `door`, past `gatekeeper`, `host_check` and `tokens`.
- Tools: `tool` (what each has), `plan_tools`, `run_tools`, `status_tool`, `gate_tool`, `rollback_tool`, `audit_tool`, `drift_tool`;
  how they are published, `tool_schema` and `proposal`; what is told of a call that has no answer, `refusal`.
- Besides tools: `resources`, `planning_prompt`.
- What an agent is shown: `plan_view`, `run_view`, `report_view`, `status_view`.
- People: `approval` and `asking`; `caller` says who they are, `edits` what they changed.
- What an agent's steps cost: `spending`, by `codex_sessions`.
- Clients: `client_config`, and the folder `codex`.

`drift` finds code that calls models without all this.
"""
