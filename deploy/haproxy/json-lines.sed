# Turn each line of haproxy's output into a JSON object: sed -u -E -f json-lines.sed
# A log line has the form <level>time text. A message of haproxy has the form [LEVEL] (process) : text.

# Drop messages about the state of servers, because the log has them too.
/^\[[A-Z]+\] *\([0-9]+\) : (Server|Backup Server|backend|Proxy|[a-z_]+\/[a-z0-9]+:?) /d

s/^<[0-3]>/<ERROR>/
s/^<4>/<WARNING>/
s/^<[5-7]>/<INFO>/
s/^\[ALERT\] */<ERROR>/
s/^\[WARNING\] */<WARNING>/
s/^\[NOTICE\] */<INFO>/
/^<(ERROR|WARNING|INFO)>/!s/^/<INFO>/

# A request is a JSON object already. Add time and level, with the time in milliseconds.
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
