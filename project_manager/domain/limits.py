"""Limits of sizes, counts and times. They are part of the API."""

NAME_CHARACTERS = 200
REASON_CHARACTERS = 500
CLIENT_NAME_CHARACTERS = 128
MESSAGE_CHARACTERS = 4000
LOG_LINES_AT_ONCE = 200
"""Maximum number of log entries with first lines that one call reads."""
LOG_LINE_CHARACTERS = 200
"""Maximum length of the first line of a log entry."""
ACKNOWLEDGED_AT_ONCE = 100
OPEN_MESSAGES = 200
"""Messages to one addressee that are not acknowledged. More are refused."""
DESCRIPTION_BYTES = 64 * 1024
AGENT_ID_CHARACTERS = 128
LABELS = 32
LABEL_CHARACTERS = 64
ACCEPTANCE_CRITERIA = 64
LINKS = 256
SUBTASKS = 500
SUBTASK_LEVELS = 5
"""Levels of tasks: a task, its subtasks, and so on."""
KEY_CHARACTERS = 200
DIGEST_CHARACTERS = 64
PATHS = 50
GLOB_CHARACTERS = 512
GLOB_SEGMENTS = 64
GLOB_WILDCARDS = 8
GLOBS_OF_PROJECT = 2000
"""Distinct globs that the tasks of a project use together. Each new one is compared with the others."""
ID_MAXIMUM = 2**63 - 1
ID_DIGITS = 19

TITLE_CHARACTERS = 500
CATEGORY_CHARACTERS = 100
ACTION_CHARACTERS = 50
METADATA_BYTES = 8 * 1024
KNOWLEDGE_PRIORITY_HIGHEST = 5
PATH_CHARACTERS = 1024
URL_CHARACTERS = 2048
COMMAND_CHARACTERS = 1024
EVIDENCE_ENTRIES = 128
"""Entries of evidence in one submission: two for each criterion."""
REVIEW_ROUNDS_MAXIMUM = 100
QUESTION_OPTIONS = 16
QUESTION_CHARACTERS = 4000
POLICY_CHECKS = 32
SNIPPET_BYTES = 8 * 1024
TAG_TYPE_CHARACTERS = 64

MEBIBYTE = 1024 * 1024
BODY_BYTES = MEBIBYTE
PLAN_BYTES = 64 * MEBIBYTE
JSON_DEPTH = 64
BULK_TASKS = 500
REFUSED_SHOWN = 50
"""Refused tasks that the response to a bulk edit describes. It counts all of them."""
ATTEMPTS_MAXIMUM = 1_000_000
MAX_KEYS = 256
MAX_FILTER_VALUES = 64
FIELD_ERRORS = 20
SHOWN_CHARACTERS = 80

PAGE_DEFAULT = 50
PAGE_MAXIMUM = 500
TOTAL_MAXIMUM = 1000
"""Rows up to which the `total` of a list is exact, because a count of more takes too long."""
READY_TASKS_MAXIMUM = 100
"""Ready tasks up to which the context of an agent counts. More of them do not change the next step of the agent."""
PAGE_CHARACTERS = 1024 * 1024
EXCERPT_CHARACTERS = 280

FLOW_HOURS_MAXIMUM = 720
"""Hours of the longest range of the flow: 30 days."""
FLOW_DAYS = 400
"""Days for which the hourly roll-ups of the flow are kept."""

LEASE_SECONDS_MINIMUM = 1
LEASE_SECONDS_DEFAULT = 300
LEASE_SECONDS_NEXT = 900
LEASE_SECONDS_MAXIMUM = 3600
WAIT_SECONDS_MAXIMUM = 55
WAIT_SECONDS_RECOMMENDED = 20
HANDOFF_CHARACTERS = 2000
OTHER_LEASES_WITH_CLAIM = 5
OTHER_LEASES_WITHOUT_CLAIM = 20
UNCONFIRMED_AFTER_SECONDS = 4
UNCONFIRMED_LEASE_SECONDS = 120

IDEMPOTENCY_HOURS = 24
IDENTITY_DAYS = 30
"""Days for which a connection keeps its agent id after its agent was last seen."""
DELETE_BATCH_SIZE = 500
"""Rows that retention deletes in one job. The bound keeps transactions short."""

SAVED_VIEWS = 200
VIEW_NAME_CHARACTERS = 80
VIEW_QUERY_CHARACTERS = 4000

PRIORITY_LOWEST = 4
PRIORITY_DEFAULT = 2
