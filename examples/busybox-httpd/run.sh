#!/bin/sh
# Files and CGI scripts by busybox httpd, in a runtime that has little else.
set -eu

# Work that is done once, before the first request.
mkdir -p /tmp/pastes
echo "serving $(find www -type f | wc -l) files"

# `exec`: the server takes this shell's place and gets its signals. -f: it stays in the foreground.
exec busybox httpd -f -p "$PORT" -h www
