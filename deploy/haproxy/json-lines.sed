# Make one JSON object of each line that haproxy writes: sed -u -E -f json-lines.sed
# A line of the log is <level>time text. A message of the program is [LEVEL] (process) : text.

# The state of servers is in the log as well.
/^\[[A-Z]+\] *\([0-9]+\) : (Server|Backup Server|backend|Proxy|[a-z_]+\/[a-z0-9]+:?) /d

s/^<[0-3]>/<ERROR>/
s/^<4>/<WARNING>/
s/^<[5-7]>/<INFO>/
s/^\[ALERT\] */<ERROR>/
s/^\[WARNING\] */<WARNING>/
s/^\[NOTICE\] */<INFO>/
/^<(ERROR|WARNING|INFO)>/!s/^/<INFO>/

# A request is an object already. It gets time and level; the time in milliseconds.
/^<[A-Z]+>[0-9T:.-]{26}\+00:00 \{/{
  s/^<([A-Z]+)>(.{23})[^ ]* \{/{"timestamp":"\2Z","level":"\1",/
  b
}
s/["\\]/\\&/g
s/[[:cntrl:]]/ /g
/^<[A-Z]+>[0-9T:.-]{26}\+00:00 /{
  s/^<([A-Z]+)>(.{23})[^ ]* (.*)/{"timestamp":"\2Z","level":"\1","action":"load_balancer","message":"\3"}/
  b
}
s/^<([A-Z]+)>(.*)/{"level":"\1","action":"load_balancer","message":"\2"}/
