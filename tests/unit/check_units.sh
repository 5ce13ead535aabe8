#!/usr/bin/env bash
# check_units.sh UNITS BIN: the systemd units in UNITS are without mistakes, start the programs that were built in BIN, are
# exposed to 2.0 at most by systemd's own measure, and do not try again what fedavg(7) says only a person can put right.
# No systemd has to run for it.
set -euo pipefail

root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
units=$1 bin=$(readlink -f -- "$2")
command -v systemd-analyze >/dev/null || {
    echo "skipped: unit/units: no systemd-analyze here"
    exit 77
}
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
bad=0

complain() {
    echo "check_units: $*" >&2
    bad=1
}

for unit in "$units"/*.service; do
    name=${unit##*/} program=${unit##*/} said=
    program=${program%@.service}
    sed -E "s#^ExecStart=[^ ]*/$program #ExecStart=$bin/$program #" "$unit" >"$scratch/$name"
    grep -q "^ExecStart=$bin/$program " "$scratch/$name" || complain "$name does not start $program"
    said=$(systemd-analyze verify --man=no "$scratch/$name" 2>&1) || complain "$name: systemd-analyze verify fails"
    [[ -z $said ]] || complain "$name: $said"
    said=$(systemd-analyze security --offline=true --threshold=20 --no-pager "$scratch/$name" 2>&1) ||
        complain "$name: more exposed than 2.0: $(tail -n 1 <<<"$said")"
    echo "$name:${said##*:}"
    mapfile -t codes < <(sed -nE 's/^(RestartPreventExitStatus|SuccessExitStatus)=//p' "$unit" | tr ' ' '\n')
    for code in "${codes[@]}"; do
        grep -qF "*$code*" "$root/docs/man/fedavg.7.scd" || complain "$name: fedavg(7) knows no exit status $code"
    done
    for code in 2 3 7; do
        grep -qE "^RestartPreventExitStatus=.*\b$code\b" "$unit" || complain "$name: tries again after exit status $code"
    done
done
units=("$units"/*.service)
[[ ${#units[@]} == 2 ]] || complain "these are not two units: ${units[*]}"
exit $bad
