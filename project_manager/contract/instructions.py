"""What an agent is told when it connects, and when it asks."""

INSTRUCTIONS = """\
Project Manager hands each task to exactly one agent at a time.
The loop:
1. claim_next_task(agent_id) - keep task.id and lock.fence; send both with every write. wait_seconds \
waits for work instead of polling.
2. Work. add_task_log what you find. Every write you make renews the lock; otherwise renew_task_lock \
before lock.expires_at.
3. Finish: update_task_status DONE (or REVIEW, or BLOCKED with a note). Cannot finish: release_task_lock \
with a handoff note.
Choose one agent_id that no other agent uses and send it with every call, for your whole life. After a \
restart or a lost context, get_context(agent_id) brings everything back.
An error begins with its code and says what to do: LOCK_HELD - take another task; STALE_FENCE - your lock \
has ended, stop working on it.
Statuses: BACKLOG TODO IN_PROGRESS REVIEW BLOCKED DONE CANCELLED. Priority 0 is the most urgent of 0..4.
Times are UTC. Lists are short rows: go on with cursor=next_cursor, read one with get_task_details.
"""
