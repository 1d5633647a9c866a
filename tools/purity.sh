#!/bin/sh
# The pure crates hold neither a runtime nor a database nor a random source,
# and know nothing of each other but what ARCHITECTURE.md allows.
set -eu
status=0
for crate in sip media hours ivr-flows acd desk switch; do
  found=$(cargo tree --locked --quiet -p "$crate" -e normal --prefix none | awk '{print $1}' | sort -u |
    grep -xE 'tokio|mio|rusqlite|libsqlite3-sys|sqlx|nix|socket2|reqwest|hyper' || true)
  if [ -n "$found" ]; then echo "$crate must be pure, but depends on:" $found; status=1; fi
done
for leaf in sip media hours ivr-flows acd desk speech; do
  # When people and desks can be reached is a durable fact: the desk reads calendars.
  allowed=$leaf
  [ "$leaf" = desk ] && allowed='desk|hours'
  found=$(cargo tree --locked --quiet -p "$leaf" -e normal --prefix none | awk '{print $1}' | sort -u |
    grep -xE 'sip|media|hours|ivr-flows|acd|desk|speech|switch|server|sim' | grep -vxE "$allowed" || true)
  if [ -n "$found" ]; then echo "$leaf is a leaf, but depends on:" $found; status=1; fi
done
[ $status = 0 ] && echo "pure crates are pure"
exit $status
