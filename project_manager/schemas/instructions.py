"""Instructions for agents. The server sends them when an agent connects, and on request."""

from project_manager.domain.limits import WAIT_SECONDS_RECOMMENDED

INSTRUCTIONS = f"""\
Project Manager leases each task to exactly one agent at a time.
1. claim_next_task(wait_seconds={WAIT_SECONDS_RECOMMENDED}): keep task.id and lock.fence, \
send both with every write.
2. Work, and report with add_task_log. Each write renews the lease; otherwise call renew_task_lock before \
lock.expires_at.
3. Finish with update_task_status DONE (or REVIEW) and evidence per criterion. POLICY_UNMET lists the missing parts. \
Need a decision: ask. Cannot finish: release_task_lock with a handoff note.
If tools require agent_id: choose one that no other agent uses, send it with every call. After a restart or a lost \
context call get_context.
A call repeated with the same request_id takes effect once.
An error begins with its code and says what to do. LOCK_HELD: claim another task. STALE_FENCE: the lease \
has ended, stop.
Priority: 0 (or P0, most urgent) to 4. \
Times are UTC.
Responses omit empty and default values (priority 2). To clear a field, name it in clear.
Lists continue with cursor=next_cursor.
"""
