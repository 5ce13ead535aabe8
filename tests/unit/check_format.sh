#!/usr/bin/env bash
# Every .c and .h that git tracks looks as .clang-format says. Exit status 77 (skipped) where clang-format 14 or git's list
# of files is not at hand: other versions lay out some lines differently.
set -euo pipefail
cd -- "$(dirname -- "$(readlink -f -- "$0")")/../.."

format=$(command -v clang-format-14 || command -v clang-format || true)
if [[ -z $format ]] || ! "$format" --version | grep -q 'version 14\.'; then
    echo "no clang-format 14: skipped"
    exit 77
fi
tracked=$(git ls-files '*.c' '*.h') || exit 77
mapfile -t files <<<"$tracked"
"$format" --dry-run -Werror "${files[@]}"
