#!/bin/sh
# Counts instructions for each entry of counts.toml and prints them beside what is recorded there. Ends with 1 when one has
# grown by more than 3 %. With --update, what was counted is recorded; with names, only these entries are counted.
set -eu
cd "$(dirname "$0")/.."
# `rep movsb` counts as one instruction for each octet that it copies: long copies shall be loops, as short ones are.
export GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=0x10000000:glibc.cpu.x86_rep_stosb_threshold=0x10000000
update=no
if [ "${1:-}" = --update ]; then
    update=yes
    shift
fi
cargo build --quiet --release --package bywash-bench --bin counted
target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One line for each entry: name, count, arguments.
awk -F' = ' -v only=" $* " '
    /^\[/ { name = substr($0, 2, length($0) - 2) }
    /^arguments/ { arguments = substr($2, 2, length($2) - 2) }
    /^count/ && (only == "  " || index(only, " " name " ")) { print name, $2, arguments }' bench/counts.toml >"$work/entries"

# Two at a time: instructions do not care.
cat >"$work/count" <<'EOF'
name=$3
shift 4
if ! valgrind --tool=callgrind --toggle-collect='*::measured' --callgrind-out-file="$work/$name.out" \
    "$program" "$@" >"$work/$name.ran" 2>"$work/$name.log" </dev/null; then
    cat "$work/$name.ran" "$work/$name.log" >&2
    exit 255
fi
units=$(sed 's/ units.*//' "$work/$name.ran")
sed -n "s/.*Collected : \(.*\)/$name \1 $units/p" "$work/$name.log" >"$work/$name.counted"
EOF
export work program="$target/release/counted"
sed 's/^/x x /' "$work/entries" | xargs -P 2 -L 1 sh "$work/count"

cut -d' ' -f1 "$work/entries" | while read -r name; do cat "$work/$name.counted"; done >"$work/counted"

if [ "$update" = yes ]; then
    awk -F' = ' -v counted="$work/counted" '
        BEGIN { while ((getline line < counted) > 0) { split(line, part, " "); count[part[1]] = part[2] / part[3] } }
        /^\[/ { name = substr($0, 2, length($0) - 2) }
        /^count/ && name in count { printf "count = %.1f\n", count[name]; next }
        { print }' bench/counts.toml >"$work/new"
    cp "$work/new" bench/counts.toml
fi

awk -v counted="$work/counted" -v update="$update" '
    BEGIN { while ((getline line < counted) > 0) { split(line, part, " "); count[part[1]] = part[2] / part[3] } }
    NR == 1 { printf "%-18s %12s %10s\n", "", "instructions", "recorded" }
    {
        now = sprintf("%.1f", count[$1]) + 0; was = $2 + 0
        change = was > 0 ? (now / was - 1) * 100 : 0
        verdict = ""
        if (update == "yes") verdict = "recorded"
        else if (now > was * 1.03) { verdict = "MORE THAN 3 % ABOVE what is recorded"; failed = 1 }
        else if (now < was * 0.97) verdict = "fell: record it with --update"
        printf "%-18s %12.1f %10.1f %+7.1f %%  %s\n", $1, now, was, change, verdict
    }
    END { exit failed }' "$work/entries"
