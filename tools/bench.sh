#!/bin/sh
# What a call costs: builds nothing, measures the release build (`make bench`
# builds it). About eight minutes. Processor time for each unit of work is the
# figure to trust; rates and delays suffer when the machine has other work.
#
#   BENCH_ONLY          "W1", "W2 W3", "audio", "store", …; all
#   BENCH_DIR           where databases are written; a disk, not memory (target/bench)
#   W1_SECONDS          how long the rate found must hold (60)
#   W1_SEARCH_SECONDS   how long each rate is tried in the search (8)
#   W1_RATE             measure this rate only
#   W2_CALLS, W3_CALLS  500, 300
#   W4_LIMIT            calls admitted a second, of which five times as many come (2000)
#   W4_SECONDS          for how long (10)
#   W5_SECONDS          how long the rate found over TLS must hold (30)
#   BENCH_PRIORITY      SCHED_FIFO priority of the server's media thread (none)
set -eu
bench=${CARGO_TARGET_DIR:-target}/release/examples/bench
if [ ! -x "$bench" ]; then
  echo "no $bench: run \`make bench\`" >&2
  exit 1
fi
command -v taskset >/dev/null 2>&1 || { echo "missing: taskset (package util-linux)" >&2; exit 1; }
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
echo "load: $(cut -d' ' -f1-3 /proc/loadavg) when begun (other work on this machine shows in rates and delays)"
case " ${BENCH_ONLY:-audio} " in
*" audio "*)
  echo "audio, beyond passing it on:"
  "${CARGO_TARGET_DIR:-target}/release/examples/cost"
  ;;
esac
case " ${BENCH_ONLY:-store} " in
*" store "*)
  echo "the store alone, and figures from it, in ${TMPDIR:-/tmp}:"
  for database in sqlite postgres; do
    "${CARGO_TARGET_DIR:-target}/release/examples/store_load" $database
    "${CARGO_TARGET_DIR:-target}/release/examples/figures_load" $database
  done
  ;;
esac
case "${BENCH_ONLY:-}" in
audio | store | "audio store") ;;
*) exec "$bench" ;;
esac
