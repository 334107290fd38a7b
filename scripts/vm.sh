#!/bin/sh
# Runs scripts/vm, built anew if its source changed. (`go run` would lose the exit status.)
set -eu
source=$(dirname "$(readlink -f "$0")")/vm
bin=${JAIL_CACHE:-$HOME/.cache/jail}/bin/vm-$(echo "$source" | cksum | cut -d' ' -f1) # one per work tree
mkdir -p "$(dirname "$bin")"
CGO_ENABLED=0 flock "$bin.lock" go build -C "$source" -o "$bin" . # two may start at once
exec "$bin" "$@"
