"""How a step runs: decorators, prompt, attempt loop, scopes, providers.

Above: mcp_bridge and the command line. Below: actors and contracts. From the outside in:

- What a user writes: `infer`, `compute`, `flow`, `refine`, each of which makes a `step` of a function; `await_human`, `image_file`.
  Where it is written wrongly: `named_options`, `infer_options`, `stub_body`, `budget_argument`.
- A session, which calls share: `runtime`, with `session_options`, `settings`, `tenant`, `mail`, `outages`, `timings`, `log_lines`.
- A run, which can be resumed: `run`, `flow_call`, `history`, `place`, `step_record`, `recorded_as`, `stopped`, `discarded`.
- A budget at work: `envelope`, `active_call`, `shared_allowance`, `raised_limits`.
- A call of a model: `infer_call` (the attempts), `prompt`, `target`, `line` (to the provider), `sending`, `exchange`, `retry_after`,
  `judgement`, `stream`.
- Other threads, loops and processes: `worker_thread`, `trio_thread`, `event_loop`, `script`, `workplace`.
- Evidence from files: `file_evidence`.

Folders: `fan_out` (many calls at once), `postconditions`, `people` (questions to them), `plans`, `scheduling` (of a plan's graph),
`pricing`, `dialects` (what is sent), `providers` (who answers), `local` (the embedded model), `cluster`, `report`.
"""
