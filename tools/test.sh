#!/usr/bin/env bash
# Runs every test of the workspace. Real calls mostly wait, and the simulated world only computes: so it runs beside
# them, on the processor time that they leave, and its output comes last.
set -uo pipefail
cd "$(dirname "$0")/.."
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}

built=$(cargo test --workspace --tests --no-run --message-format=json-render-diagnostics) || exit 1
# A line for each test program: where it is to run, and its path.
programs=$(grep '"test":true' <<<"$built" | sed -nE 's|.*"manifest_path":"([^"]*)/Cargo.toml".*"executable":"([^"]+)".*|\1 \2|p')
[ -n "$programs" ] || { echo "no test was built" >&2; exit 1; }

# run PROGRAMS [COMMAND]: each in its crate's folder; false when one failed.
run() {
  local failed=0
  while read -r folder program; do
    printf '\n     Running %s\n' "${program##*/}"
    (cd "$folder" && ${2:-} "$program" </dev/null) || { failed=1; echo "FAILED ${program##*/}"; }
  done <<<"$1"
  return $failed
}

log=$(mktemp)
run "$(grep '/sim ' <<<"$programs")" "nice -n 19" >"$log" 2>&1 &
beside=$!
trap '[ -z "$beside" ] || kill "$beside" 2>/dev/null; rm -f "$log"' EXIT
run "$(grep -v '/sim ' <<<"$programs")"
calls=$?
wait "$beside"
world=$?
beside=
cat "$log"
[ $calls = 0 ] && [ $world = 0 ] || { echo; echo "tests FAILED"; exit 1; }
