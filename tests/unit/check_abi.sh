#!/usr/bin/env bash
# Keeps what other programs were built against: check_abi.sh LIBRARY LIST_ABI CC.
#   - the library exports exactly the functions that its header declares, under the version of its map, and the manual names
#     each of them;
#   - sizes, places and numbers are those recorded in tests/unit/client_abi.txt, and so are the functions with their
#     declarations: a line that is missing or another breaks programs (a new soname, cmake/client_library.cmake), a new one is recorded with
#     check_abi.sh LIBRARY LIST_ABI CC --record;
#   - the header alone compiles without a warning as C99, C17, C++11 and C++17.
# Each difference is one line; exit status 1 if there is any.
set -euo pipefail
export LC_ALL=C
library=$(readlink -f -- "$1")
list_abi=$(readlink -f -- "$2")
cc=$3
cd -- "$(dirname -- "$(readlink -f -- "$0")")/../.."
readonly header=include/fedavg/client.h map=client/libfedavg-client.map manual=docs/man/fedavg-client.3.scd
readonly recorded=tests/unit/client_abi.txt

bad=0
no() {
    printf '%s\n' "$*"
    bad=1
}

same() { # what-it-is one other
    local difference
    difference=$(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") | grep '^[<>]' || true)
    [[ -z $difference ]] || no "$1: ${difference//$'\n'/, }"
}

exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | sort)
version=$(sed -n 's/^\(FEDAVG_CLIENT_[0-9]*\) {.*/\1/p' "$map")
declared=$(sed -n 's/^FEDAVG_API .*[ *]\(fedavg_[a-z_]*\)(.*/\1/p' "$header" | sort)
same "exported by the library (<), declared in $header (>)" "$exported" "$(awk -v version="$version" '{ print $0 "@@" version }' <<<"$declared")"
while read -r name; do
    grep -qF -- "*$name*" "$manual" || no "$manual: says nothing of $name"
done <<<"$declared"

signatures=$(sed 's@/\*[^*]*\*/@@g' "$header" | awk '
    /^FEDAVG_API/ { text = "" ; inside = 1 }
    inside { text = text " " $0 }
    inside && /;$/ { gsub(/[ \t]+/, " ", text); print substr(text, 2); inside = 0 }')
found=$("$list_abi"; printf '%s\n' "$exported" "$signatures")
if [[ ${4:-} == --record ]]; then
    printf '%s\n' "$found" >"$recorded"
fi
same "recorded in $recorded (<), found (>)" "$(cat "$recorded")" "$found"

compile() { # compiler language standard
    local said
    command -v "$1" >/dev/null || { echo "not tried: $header as $3: no $1" && return; }
    said=$(printf '#include <fedavg/client.h>\nint main(void) { return fedavg_version() == 0; }\n' |
        "$1" -x "$2" -std="$3" -Wall -Wextra -Wpedantic -Wshadow -Werror -Iinclude -c -o /dev/null - 2>&1) ||
        no "$header as $3: $said"
}
compile "$cc" c c99
compile "$cc" c c17
compile c++ c++ c++11
compile c++ c++ c++17

exit $bad
