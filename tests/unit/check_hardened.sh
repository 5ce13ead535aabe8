#!/usr/bin/env bash
# check_hardened.sh BUILD [OPTION...]: what the compiler and linker were asked for against attackers is in the programs of
# BUILD/bin, in the shared libraries of BUILD/lib and in every object of BUILD's own libraries, which must also say that they
# were compiled with each OPTION. Reads the files themselves (readelf), not the build system.
set -uo pipefail
export LC_ALL=C

readonly build=$1
shift
failed=0

no() {
    echo "hardened: $*" >&2
    failed=1
}

# Wants the pattern in what readelf says of the file.
wants() { # file pattern claim readelf-options...
    local file=$1 pattern=$2 claim=$3
    shift 3
    readelf -W "$@" "$file" 2>/dev/null | grep -E -- "$pattern" >/dev/null || no "${file#"$build"/}: $claim"
}

program() { # file
    wants "$1" 'FLAGS_1.* PIE' "not marked as a position-independent program" -d
    loaded "$1"
}

# A program or a shared library.
loaded() { # file
    wants "$1" 'Type: +DYN ' "not position-independent" -h
    wants "$1" 'GNU_RELRO' "relocations stay writable (no RELRO)" -l
    wants "$1" '\(FLAGS(_1)?\).*(BIND_)?NOW' "symbols are bound lazily" -d
    wants "$1" 'GNU_STACK.* RW +0x' "the stack is executable" -l
    wants "$1" '__stack_chk_fail' "no stack protector" --dyn-syms
    wants "$1" '__(memcpy|snprintf|vsnprintf)_chk' "nothing of it is fortified" --dyn-syms
    if readelf -Wl "$1" | grep -E 'LOAD.* RWE ' >/dev/null; then
        no "${1#"$build"/}: a segment is writable and executable"
    fi
    if readelf -Wd "$1" | grep -E 'R(UN)?PATH|TEXTREL' >/dev/null; then
        no "${1#"$build"/}: a path to libraries, or relocations in its code"
    fi
}

# How each unit was compiled stands in its debug information.
units() { # library
    local option found all
    all=$(readelf --debug-dump=info "$1" 2>/dev/null | grep -c 'DW_AT_producer.*GNU C')
    [[ $all -gt 0 ]] || no "${1#"$build"/}: no debug information to judge it by"
    for option in "${options[@]}"; do
        found=$(readelf --debug-dump=info "$1" 2>/dev/null | grep 'DW_AT_producer.*GNU C' | grep -Ec -- "-$option")
        [[ $found == "$all" ]] || no "${1#"$build"/}: $((all - found)) of $all files compiled without -$option"
    done
}

# The start files of a distribution decide whether a whole program is marked; ours are, every one.
shadow_stack() { # library
    local objects marked
    objects=$(ar t "$1" | wc -l)
    marked=$(readelf -n "$1" 2>/dev/null | grep -c 'x86 feature: IBT, SHSTK')
    [[ $objects == "$marked" ]] || no "${1#"$build"/}: $((objects - marked)) of $objects files without IBT and SHSTK"
}

options=(fstack-protector-strong fstack-clash-protection 'fPI[CE]' "$@")
count=0
for file in "$build"/bin/fedavg*; do
    program "$file"
    count=$((count + 1))
done
for file in "$build"/lib/lib*.so; do
    loaded "$file"
    count=$((count + 1))
done
for file in "$build"/libfed_*.a; do
    units "$file"
    [[ " $* " != *" fcf-protection "* ]] || shadow_stack "$file"
    count=$((count + 1))
done
[[ $count -ge 13 ]] || no "only $count programs and libraries found in $build"
exit $failed
