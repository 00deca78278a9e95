"""What a call asks of budgets, and what their answers mean. All pure; the counters are a store's.

`worst_case` says what a call may take at most. `book` finds the budgets that a call falls under and makes a
`Claim` of that: the reservation for the store, and whose each demand is. `refusals` puts the store's refusals
into words and members for the client. `standing` reads from a counter's level which steps of a ladder have
been reached, and `states` how a budget stands, for people. `stops` are the emergency brake.

Of several budgets of one scope, unit and period only the most particular counts: `agent:acme/desk` goes
before `agent:desk`, that before `agent:acme/*`, that before `agent:*`. Budgets of different scopes count
together, and a call must fit all of them.

Every call's money is counted per hour and per day (UTC) for its tenant and its agent, whatever is limited.
"""
