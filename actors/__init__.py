"""Who owns state: the ledger, the journal, the rate limiter and the event hub, each the one place where its own is changed.

What changes without a wait is done on the asker's own task, between two checkpoints. The journal waits for a disk, and has a
thread that a supervised task looks after. For an owner whose own work awaits there is `actor`, with its mailbox; `supervisor` keeps
tasks running.

Above: engine. Below: contracts.

- The ledger: `ledger`, made of `amount`, `scope`, `reservation` and `waiting_room`; `ledger_state` is what records say of it.
- The journal: `journal` and `journal_writer`, over `journal_store`, `journal_schema`, `journal_views`, `journal_chain` and
  `journal_watermark`. Its file: `journal_file`, `journal_failure`, `whole_file`, `locations`. Reading: `journal_records`, `journal_reader`,
  `read_connections`, `read_only_journal`, `past_calls`, `spend_by_day`. Looking after it: `journal_check`, `journal_export`,
  `journal_prune`.
- Between processes: `inbox`, `session_lock`, `page_address`, `hold`.
- The others: `rate_limiter`, `event_hub`, `answer_cache`.
"""
