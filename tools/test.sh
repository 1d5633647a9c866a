#!/usr/bin/env bash
# Runs every test of the workspace, in three lanes: real calls mostly wait, and what only computes runs beside them on
# the processor time that they leave. The output of the lanes in the background comes last.
set -uo pipefail
cd "$(dirname "$0")/.."
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}

built=$(cargo test --workspace --tests --no-run --message-format=json-render-diagnostics) || exit 1
# A line for each test program: where it is to run, and its path.
programs=$(grep '"test":true' <<<"$built" | sed -nE 's|.*"manifest_path":"([^"]*)/Cargo.toml".*"executable":"([^"]+)".*|\1 \2|p')
[ -n "$programs" ] || { echo "no test was built" >&2; exit 1; }
# The programs whose line matches, or doesn't (-v).
only() { grep -E "$@" <<<"$programs"; }

# run PROGRAMS [COMMAND]: each in its crate's folder; false when one failed.
run() {
  local failed=0
  while read -r folder program; do
    [ -n "$program" ] || continue
    printf '\n     Running %s\n' "${program##*/}"
    (cd "$folder" && ${2:-} "$program" </dev/null) || { failed=1; echo "FAILED ${program##*/}"; }
  done <<<"$1"
  return $failed
}

world_log=$(mktemp) kill_log=$(mktemp)
run "$(only '/sim ')" "nice -n 19" >"$world_log" 2>&1 &
world=$!
# A hundred crashes need both cores and every RTP port; of the others only those whose audio goes through memory run
# meanwhile, or that have no audio.
run "$(only '/kill-')" "nice -n 10" >"$kill_log" 2>&1 &
crashes=$!
trap 'kill $(jobs -pr) 2>/dev/null; rm -f "$world_log" "$kill_log"' EXIT
failed=0
run "$(only '/scenes-')" || failed=1
run "$(only -v '/(sim|server) ')" || failed=1
wait $crashes || failed=1
run "$(only '/server ' | grep -vE '/(scenes|kill)-')" || failed=1
wait $world || failed=1
cat "$kill_log" "$world_log"
[ $failed = 0 ] || { echo; echo "tests FAILED"; exit 1; }
