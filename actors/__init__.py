"""Who owns state: the ledger, the journal, the rate limiter and the event hub, each one supervised trio task.

Above: engine. Below: contracts.
"""
