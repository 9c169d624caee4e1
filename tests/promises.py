"""The promises of this service, one sentence each.

A test names the promises that it checks: @pytest.mark.promise("lease:renewal").

tests/architecture/test_promises.py fails for a promise without a test and for a test with an unknown promise.
"""

PROMISES: dict[str, str] = {
    # readiness and claims
    "ready:rules": "Ready: TODO, dependencies DONE, not deferred, no active conflict, attempts left, project live.",
    "ready:reasons": "A task that is not ready lists all its blockers.",
    "ready:event": "An event reports each task that becomes ready because another one finished.",
    "graph:no-cycle": "A cycle of dependencies is refused when it is written, with the cycle in the message.",
    "graph:counters": "The numbers of blocking and of unblocked tasks are current right after every change.",
    "claim:best-first": "claim_next takes the most urgent task, then the one that unblocks most, then the oldest.",
    "claim:filters": "claim_next takes no task outside its filters.",
    "claim:first-come": "Waiters for a task are served in the order of arrival.",
    "claim:not-lost": "The response to every claim is delivered; a waiter that disconnected gets no task.",
    "claim:empty-says-why": "When no task is ready, the response counts the tasks and names their blockers.",
    "claim:handoff": "A claim brings the newest handoff note and the number of entries in the log.",
    "claim:names-other-leases": "A claim names the other leases of the same agent.",
    "claim:by-name": "A task can be claimed by name when it is ready, in REVIEW, BLOCKED or BACKLOG, or has no holder.",
    # leases
    "lease:exclusive": "A task has at most one holder at any time.",
    "lease:fence-grows": "Every new lease of a task has a higher fence than all before.",
    "lease:renewal": "Another claim or write by the holder extends the expiry and keeps the fence.",
    "lease:fencing": "Only the holder writes to a claimed task, with the current fence once it has sent one.",
    "lease:expiry": "A lease ends at its expiry without any request; its task returns to its earlier status.",
    "lease:attempts": "At the limit of failed attempts a task becomes BLOCKED for review by a person.",
    "lease:release": "The holder releases a lease, or an operator ends it by force, which is recorded.",
    "lease:take-over": "An operator takes over a claimed task in one step; no waiter gets it in between.",
    "lease:history": "Each lease records the time and reason of its end; a task names the agent of its newest lease.",
    "lease:lock-required": "After a lost lease, or without attempts left, an agent must claim before it sets a status.",
    "lease:error-remedy": "A late write is refused with its lease's end, the task's state and a remedy.",
    "lease:unconfirmed": "A lease claimed after a wait lasts 2 minutes; any call of its holder extends it.",
    "lease:single-call": "The status of an unclaimed task can be set in one call.",
    "status:transitions": "One table defines the legal transitions; an error lists them.",
    "status:reopen": "A finished task changes its status only with reopen.",
    # audit
    "audit:tampering": "Modifications of events, rows and indexes by other programs are found and named.",
    # requests
    "request:one-error-body": "Every error response has the same body shape, with the request id.",
    "request:all-errors": "All field errors are reported at once, an unknown field with the nearest valid one.",
    "request:bad-input": "No input causes an internal error: it is refused with the field and the remedy.",
    "request:idempotent": "The same key replays the first response; another request with that key is refused.",
    "request:if-match": "With If-Match, a write does not overwrite a version that is newer than the one read.",
    "request:pages": "Pages of a list have every row once; a cursor is valid only with its own filters.",
    "request:limits": "Sizes and numbers beyond the limits are refused.",
    "request:early": "An early error response reaches a client that is still sending its body.",
    "plan:large": "Plans of up to 64 MiB are imported over HTTP, one large one at a time.",
    "request:id": "Every request has an id, from the client or generated, which is returned and logged.",
    "predecessor:routes": "The routes of the predecessor return the same responses with additional fields.",
    # events
    "outbox:no-gap": "Events are numbered in the order of commits without a gap.",
    "outbox:whole-truth": "Replaying the events gives the current state of every task.",
    "outbox:every-type": "Each kind of change has its event type with its envelope.",
    "outbox:retention": "Old events are deleted, never those of the last day; subscribers that missed some resync.",
    "events:resume": "A subscriber that resumes with its last number gets every later event once.",
    "events:resync": "A subscriber with the number of another history must resync.",
    "events:other-processes": "Changes by another process reach every subscriber.",
    "events:slow-reader": "A subscriber that does not read is closed with 1013, delays no other, and can resume.",
    "events:capacity": "A connection over the limit is accepted, closed with 1013, and counted.",
    # authentication and roles
    "access:cross-origin": "A web page of another origin has no access, with or without tokens.",
    "access:tokens": "With a token in the database or with AUTH_REQUIRED, every interface requires a token.",
    "access:roles": "Each role has exactly its permissions; a bound token acts only as its agent.",
    "access:agents": "Over MCP every caller is an agent; without a name it has no leases and cannot take over others.",
    "access:session": "The cookie of the dashboard is inaccessible to scripts and to other sites.",
    # plans, files and backups
    "plan:all-errors": "Every error of a plan is listed with line and column; a plan with errors writes nothing.",
    "plan:keeps-work": "Another import applies the changes of the plan and keeps the work of agents.",
    "plan:non-blocking": "A plan is parsed before the write transaction begins.",
    "plan:round-trip": "An export imported into an empty database exports the same bytes.",
    "file:replaced": "A write into a removed or replaced database file is refused, and health reports it.",
    "file:damaged": "After damage is found, no write is acknowledged, reads work, and health and a metric report it.",
    "backup:whole": "A backup is valid only after it was read back; every byte that changes later is found.",
    "restore:nothing-twice": "After a restore no fence repeats and no client takes a new event for an old one.",
    # the loss of a PostgreSQL server
    "failover:nothing-lost": "A synchronous failover loses no acknowledged write and repeats no fence or event number.",
    "failover:new-epoch": "After a failover with lost writes no fence repeats, and followers of events must resync.",
    # the service
    "clock:never-back": "`now` never steps back, also not across a restart.",
    "clock:wrong": "While database time is far from the wall clock only leases end; nothing is deleted by age.",
    "memory:bounded": "The memory of an instance for large responses is bounded for any number of slow readers.",
    "connection:limits": "Connections and data of a client are bounded in bytes and time; other clients are served.",
    "loop:never-blocked": "No call blocks the event loop, and no batch of writes does.",
    "health:honest": "Health reports each problem within three seconds, and writes nothing.",
    "board:not-modified": "The board is sent again only after a change.",
    "interface:stable": "The API description and the list of tools change only on purpose.",
}
