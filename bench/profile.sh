#!/bin/sh
# Where the instructions of one request go. Arguments are those of the `roundtrip` binary, for example
#   bench/profile.sh --stack bywash --half server --batch 32
# prints instructions per request by function (with and without callees) and by source file (inlined code counts
# where it was written).
set -eu
cd "$(dirname "$0")/.."
cargo build --quiet --release --package bywash-bench --bin roundtrip
target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
out=$(mktemp)
trap 'rm -f "$out"' EXIT
ran=$(valgrind --quiet --tool=callgrind --toggle-collect='*::measured' --callgrind-out-file="$out" \
    "$target/release/roundtrip" "$@")
echo "$ran" | sed 's/, [0-9.]* ns per request//'
requests=$(echo "$ran" | sed 's/[^:]*: \([0-9]*\) requests.*/\1/')

table() {
    awk -v kind="$1" -v requests="$requests" '
        # "(12) name" names a file or function once, "(12)" means it from then on.
        function name(space, text,    id) {
            id = space text; sub(/\).*/, ")", id)
            if (text ~ /\) /) { sub(/^[^)]*\) /, "", text); names[id] = text }
            return names[id]
        }
        /^fn=/ { function_name = name("f", substr($0, 4)); next }
        /^cfn=/ { name("f", substr($0, 5)); next }
        /^(fl|fi|fe)=/ { file = name("p", substr($0, 4)); next }
        /^(cfl|cfi)=/ { sub(/^cf[li]=/, ""); name("p", $0); next }
        /^calls=/ { called = 1; next }
        /^[-+*0-9]/ && NF >= 2 {
            if (called) { with[function_name] += $2; called = 0; next }
            alone[function_name] += $2; with[function_name] += $2; files[file] += $2; total += $2
        }
        END {
            if (kind == "alone") for (key in alone) print alone[key] / requests, key
            if (kind == "with") for (key in with) print with[key] / requests, key
            if (kind == "files") for (key in files) print files[key] / requests, key
            print total / requests, "TOTAL"
        }' "$out" | grep -Ev ' (0x|main$|roundtrip::main|\(below|std::|__libc_start)' | sort -rn | head -"$2" | sed 's|/rustc/[0-9a-f]*/library|rust|; s|[^ ]*/registry/src/[^/]*/||' |
        awk '{ count = $1; $1 = ""; printf "%9.1f %s\n", count, $0 }'
}
echo; echo "instructions per request, without callees"; table alone 26
echo; echo "with callees"; table with 32
echo; echo "by source file"; table files 36
