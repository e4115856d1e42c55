"""Who owns state: the ledger, the journal, the rate limiter and the event hub, each the one place where its own is changed.

What changes without a wait is done on the asker's own task, between two checkpoints. The journal waits for a disk, and has a
thread that a supervised task looks after. For an owner whose own work awaits there is `Actor`, with its mailbox.

Above: engine. Below: contracts.
"""
