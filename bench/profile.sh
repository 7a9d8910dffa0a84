#!/bin/sh
# Where the instructions of one unit of work go. Arguments are those of the `counted` binary, for example
#   bench/profile.sh round-trip --half server --batch 32
# prints instructions per unit by function (with and without callees) and by source file (inlined code counts
# where it was written).
set -eu
cd "$(dirname "$0")/.."
# `rep movsb` counts as one instruction for each octet that it copies: long copies shall be loops, as short ones are.
export GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=0x10000000:glibc.cpu.x86_rep_stosb_threshold=0x10000000
cargo build --quiet --release --package bywash-bench --bin counted
target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
out=$(mktemp)
trap 'rm -f "$out"' EXIT
ran=$(valgrind --quiet --tool=callgrind --toggle-collect='*::measured' --callgrind-out-file="$out" \
    "$target/release/counted" "$@")
echo "$ran" | sed 's/, [0-9.]* ns each//'
units=$(echo "$ran" | sed 's/ units.*//')

table() {
    awk -v kind="$1" -v units="$units" '
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
            if (kind == "alone") for (key in alone) print alone[key] / units, key
            if (kind == "with") for (key in with) print with[key] / units, key
            if (kind == "files") for (key in files) print files[key] / units, key
            print total / units, "TOTAL"
        }' "$out" | grep -Ev ' (0x|main$|counted::main|\(below|std::|__libc_start)' | sort -rn | head -"$2" | sed 's|/rustc/[0-9a-f]*/library|rust|; s|[^ ]*/registry/src/[^/]*/||' |
        awk '{ count = $1; $1 = ""; printf "%9.1f %s\n", count, $0 }'
}
echo; echo "instructions per unit, without callees"; table alone 26
echo; echo "with callees"; table with 32
echo; echo "by source file"; table files 36
