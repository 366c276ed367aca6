#!/usr/bin/env bash
# The test cases of a program, a few at a time in a process of their own and as many processes as there are cores: many
# cases keep one core busy only. Prints what the cases print and, at the end, one count of all.
#   scripts/test.sh build/native/test [doctest's options, such as -tc='conv2d*']
set -uo pipefail
program=$1
shift
cases_of() { "$program" -c "$@" | sed -nE 's/.*passing the current filters: *([0-9]+).*/\1/p'; }
cases=$(cases_of "$@")
[ "${cases:-0}" != 0 ] || exec "$program" "$@" # --help, an option it does not know, no such case
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

part() { # first case, last case, options...: runs them; leaves how many failed in a file named after the first
  local first=$1 last=$2 failed code
  shift 2
  "$program" "$@" -f="$first" -l="$last" >"$results/$first.log" 2>&1
  code=$?
  failed=$(sed -nE 's/^\[doctest\] test cases:.* ([0-9]+) failed.*/\1/p' "$results/$first.log" | tail -n 1)
  if [ $code != 0 ] && [ "${failed:-0}" = 0 ]; then # it crashed, or a sanitizer complained when it ended
    failed=1
    echo "the process of test cases $first to $last ended with code $code" >>"$results/$first.log"
  fi
  echo "$failed" >"$results/$first.failed"
  grep -avE '^(\[doctest\] (doctest version|run with|test cases:|assertions:|Status:).*|=+)$' "$results/$first.log" |
    flock "$results" cat
}
export -f part
export program results

each=8
seq 1 $each "$cases" | xargs -P "$(nproc)" -I{} bash -c 'part {} $(({} + '$((each - 1))')) "$@"' test "$@"
# A part that left no number counts as failed.
failed=$(for first in $(seq 1 $each "$cases"); do cat "$results/$first.failed" 2>/dev/null || echo 1; done |
  awk '{ sum += $1 } END { print sum }')
all=$(cases_of --no-skip "$@")
[ "$failed" = 0 ] && status=SUCCESS || status=FAILURE
echo "[doctest] test cases: $cases | $((cases - failed)) passed | $failed failed | $((all - cases)) skipped"
echo "[doctest] Status: $status!"
[ "$failed" = 0 ]
