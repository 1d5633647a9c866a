#!/usr/bin/env bash
# Fuzzes each target (all, or those named) for FUZZ_SECONDS and says how many inputs were executed. libFuzzer on the
# stable compiler: what cargo-fuzz would pass, without it. The committed corpus is read, never written: new inputs go to
# fuzz/found/TARGET, findings to fuzz/found/TARGET-*. A finding that is mended belongs into fuzz/corpus/TARGET, where
# `make test` replays it.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${FUZZ_SECONDS:-600}
declare -A longest=([sip]=8192 [sdp]=4096 [rtp]=4096 [flow]=8192 [condition]=512 [edit]=4096 [config]=8192 [people]=8192)
targets=("$@")
[ $# -gt 0 ] || targets=(sip sdp rtp flow edit condition config people)

# With --target the flags spare build scripts and procedural macros.
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=$PWD/target RUSTC_BOOTSTRAP=1 CARGO_INCREMENTAL=0
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
bins=()
for target in "${targets[@]}"; do bins+=(--bin "$target"); done
cargo build --quiet --release --target "$host" "${bins[@]}"
[ "$seconds" -gt 0 ] || exit 0

failed=0
for target in "${targets[@]}"; do
  mkdir -p "found/$target"
  log=found/$target.log
  if nice -n 19 "target/$host/release/$target" "found/$target" "corpus/$target" -max_total_time="$seconds" \
    -max_len="${longest[$target]}" -len_control=10 -timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=256 -print_final_stats=1 \
    -artifact_prefix="found/$target-" >"$log" 2>&1; then found=clean; else found="FINDING, see fuzz/$log"; failed=1; fi
  inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  covered=$(sed -nE 's/.* (cov: [0-9]+ ft: [0-9]+ corp: [0-9]+).*/\1/p' "$log" | tail -1)
  printf '%-10s %12s inputs in %s s; %s; %s\n' "$target" "${inputs:-?}" "$seconds" "$covered" "$found"
done
exit $failed
