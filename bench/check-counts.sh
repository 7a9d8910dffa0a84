#!/bin/sh
# Counts instructions per request for each entry of counts.toml; ends with 1 when one is above its ceiling.
set -eu
cd "$(dirname "$0")/.."
cargo build --quiet --release --package bywash-bench --bin roundtrip
target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One line for each entry: name, ceiling, arguments.
awk -F' = ' '
    /^\[/ { name = substr($0, 2, length($0) - 2) }
    /^arguments/ { arguments = substr($2, 2, length($2) - 2) }
    /^ceiling/ { print name, $2, arguments }' bench/counts.toml >"$work/entries"

failed=0
while read -r name ceiling arguments; do
    # shellcheck disable=SC2086 # The arguments are words.
    valgrind --tool=callgrind --toggle-collect='*::measured' --callgrind-out-file="$work/out" \
        "$target/release/roundtrip" $arguments >"$work/ran" 2>"$work/log" </dev/null || {
        cat "$work/ran" "$work/log"
        exit 1
    }
    requests=$(sed 's/[^:]*: \([0-9]*\) requests.*/\1/' "$work/ran")
    collected=$(sed -n 's/.*Collected : //p' "$work/log")
    # Rounded up, so that a ceiling is a whole number.
    count=$(((collected + requests - 1) / requests))
    if [ "$count" -gt "$ceiling" ]; then
        verdict="ABOVE the ceiling by $((count - ceiling))"
        failed=1
    elif [ "$count" -lt "$ceiling" ]; then
        verdict="the ceiling can fall by $((ceiling - count))"
    else
        verdict="at the ceiling"
    fi
    printf '%-18s %6d instructions per request, ceiling %6d: %s\n' "$name" "$count" "$ceiling" "$verdict"
done <"$work/entries"
exit "$failed"
