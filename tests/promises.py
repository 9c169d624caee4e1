"""What this service promises, a sentence each. A test names those that it keeps: @pytest.mark.promise("lease:renewal").

tests/house/test_promises.py fails for a promise without a test and for a test with a promise that nobody made.
"""

PROMISES: dict[str, str] = {
    # what may be claimed, and what is offered
    "ready:rules": "Ready: TODO, dependencies DONE, not deferred, no rival held, attempts left, project live.",
    "ready:reasons": "A task that is not ready says everything that holds it back.",
    "ready:told": "A task that becomes ready because another finished is told of.",
    "graph:no-cycle": "A cycle of dependencies is refused when it is written, with the cycle in the message.",
    "graph:counters": "What a task waits for and what it unblocks is counted right after any change whatever.",
    "claim:best-first": "claim_next takes the most urgent task, then what unblocks most, then the oldest.",
    "claim:filters": "claim_next takes nothing outside its filters.",
    "claim:first-come": "Those who wait for a task are served in the order of coming.",
    "claim:not-lost": "A task that is claimed is answered; who does not wait any more gets none.",
    "claim:empty-says-why": "When nothing is ready the answer says how many tasks there are and what holds them back.",
    "claim:by-name": "A task is claimed by name when it is ready, in REVIEW, BLOCKED, BACKLOG, or held by nobody.",
    # leases
    "lease:exclusive": "A task has at most one holder at any time.",
    "lease:fence-grows": "Every new lease of a task has a higher fence than all before.",
    "lease:renewal": "The holder claiming or writing again moves the expiry and keeps the fence.",
    "lease:fencing": "A write about a held task is its holder's, under the present fence once one was sent.",
    "lease:expiry": "A lease ends at its expiry, whoever looks; its task is offered again from where it came.",
    "lease:attempts": "At the cap of failed attempts a task is BLOCKED for a person to look at.",
    "lease:release": "A lease is given back by its holder, or taken by an operator, which is recorded.",
    "lease:take-over": "An operator takes a held task over in one step; no waiting agent gets it in between.",
    "lease:history": "Each lease says when and how it ended; a task names the agent of its newest lease.",
    "lease:single-call": "A status is set in one call on a task that nobody holds.",
    "status:moves": "One table says which moves are legal; a refusal names them.",
    "status:reopen": "Finished work is left only on purpose.",
    # requests
    "request:one-error-body": "Every refusal has the one error body, with the request id.",
    "request:all-faults": "All faults of a request are named at once, an unknown field with the nearest valid one.",
    "request:bad-input": "No input whatever makes the service fail: it is refused with the field and the remedy.",
    "request:idempotent": "The same key gives the first answer again; another request under it is refused.",
    "request:if-match": "What changed since it was read is not overwritten when the writer names the version read.",
    "request:pages": "Pages of a list have every row once; a cursor works only with its own filters.",
    "request:limits": "Sizes and numbers beyond the limits are refused.",
    "request:early": "A refusal reaches the client also while it is still sending its body.",
    "request:id": "Every request has an id, taken or made, returned and logged.",
    "predecessor:routes": "The predecessor's routes answer as before, plus the new fields.",
    # events
    "outbox:no-gap": "Events are numbered in the order of commits without a gap.",
    "outbox:whole-truth": "Replaying the events gives the present state of every task.",
    "outbox:every-type": "Each kind of change has its type of event with its envelope.",
    "outbox:retention": "Old events are forgotten, never those of the last day; who comes from before them is told.",
    "events:resume": "Whoever comes back with the last number gets everything after it, once.",
    "events:resync": "Whoever comes from another history is told to load again.",
    "events:other-processes": "Changes by another process reach every subscriber.",
    "events:slow-reader": "One that does not read is closed with 1013, delays nobody, and can resume.",
    "events:capacity": "Over the limit of connections: accepted, closed with 1013, counted.",
    # who may come in
    "door:elsewhere": "A web page elsewhere can do nothing, with or without tokens.",
    "door:tokens": "With a token in the database or AUTH_REQUIRED every door asks for one.",
    "door:roles": "Each role does what it may and nothing else; a bound token acts as its agent only.",
    "door:agents": "Over MCP everybody is an agent: without a name it holds nothing and takes nothing from another.",
    "door:session": "The dashboard's cookie is out of reach of scripts and of other sites.",
    # plans and copies
    "plan:all-faults": "Every fault of a plan is listed with line and column, and with any fault nothing is written.",
    "plan:keeps-work": "Importing again changes what the plan says differently and keeps what agents did.",
    "plan:holds-up-nobody": "A plan is read before the writer is entered.",
    "plan:round-trip": "An export imported into an empty database exports the same bytes.",
    "file:moved": "A write into a database file that was removed or replaced is refused, and health says so.",
    "backup:whole": "A backup counts when it was read back; every byte that changes later is found.",
    "restore:nothing-twice": "After a restore no fence repeats and no client takes a new event for an old one.",
    # the service
    "clock:never-back": "`now` never steps back, not across a restart either.",
    "memory:bounded": "What an instance holds for large answers is bounded, however many ask and do not read.",
    "loop:never-blocked": "Nothing blocks the event loop.",
    "health:honest": "Health says what is wrong within a second, and writes nothing.",
    "board:not-modified": "The board is sent again only when something changed.",
    "interface:stable": "The API description and the list of tools change only on purpose.",
}
