#!/bin/sh
# Rebuilds bywash.bpf.o; with --check, builds it elsewhere and compares it byte for byte with the committed one.
# Needs the packages clang-14, llvm-14, libbpf-dev and linux-libc-dev.
set -eu
cd "$(dirname "$0")"

object=bywash.bpf.o
case "${1-}" in
'') output=$object ;;
--check)
	directory=$(mktemp -d)
	trap 'rm -rf "$directory"' EXIT
	output=$directory/$object
	;;
*)
	echo "usage: $0 [--check]" >&2
	exit 2
	;;
esac

# -g makes the type information (BTF) that describes the maps; the rest of it is stripped. No path of this
# machine may stay in the object.
clang-14 -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror \
	-I"/usr/include/$(uname -m)-linux-gnu" \
	-ffile-prefix-map="$PWD"=. -fdebug-compilation-dir=. \
	-c bywash.bpf.c -o "$output"
llvm-strip-14 -g "$output"

if [ "$output" != "$object" ]; then
	cmp "$object" "$output"
	echo "$object is what $(clang-14 --version | head -n 1) makes of its source"
fi
