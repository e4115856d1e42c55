"""What a value must be: contracts, schemas, digests, budgets, prices, records and errors.

Pure: no event loop and no I/O. Everything above imports from here; this imports nothing of Stratum's above it.

- What users declare: `contract`, `opaque`, `image`, `human`, `partial`, `probabilistic`, `ended`, `budget`, `allowance`, `price`.
- A type, compiled: `codec`, of which each function has some in its `signature`. What types there are: `annotation`, `supported_type`,
  `unfit_class`, `contract_field`, `any_json`, `image_places`, `image_size`.
- Its schema: `schema`, `struct_schema`, `pattern`, `answer_size`, `digest`; as a plan writes one, `inline_schema`, `type_reference`,
  `schema_fit`.
- Its way from JSON and back: `strict` (pydantic), `wire_core`, `hot_decoder` (msgspec), `literal_kinds`, `python_value`, `json_value`,
  `json_text`, `shape`; what does not fit, `mismatch` and `violation`.
- What happened: `records`, `messages`, `trace`, `audit`, `doubts`, `money`.
- What goes wrong: `errors`, `cluster_errors`, `error_groups`, `problem`.
- Plans: the folders `plans` and `expressions`, with `reference` and `registry`.
- For people to read: `rendering`.
"""
