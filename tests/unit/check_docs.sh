#!/usr/bin/env bash
# Keeps the documents honest: check_docs.sh BIN_FOLDER LIST_SETTINGS.
#   - the options in a program's --help, in its source and in its man page are the same;
#   - every key of a settings table stands in its man page with its default, and no other key does;
#   - docs/settings.md is what docs/make-settings makes of table and pages;
#   - every event and key of the JSON that is written stands in the man page;
#   - every man page compiles without a word of complaint (where scdoc is installed).
# What documents point at is the business of check_links.sh.
# Each lie is one line; exit status 1 if there is any.
set -euo pipefail
bin=$(readlink -f -- "$1")
list_settings=$(readlink -f -- "$2")
cd -- "$(dirname -- "$(readlink -f -- "$0")")/../.."

lies=0
lie() {
    printf '%s\n' "$*"
    lies=$((lies + 1))
}

# Those that every program has are no news.
options() { grep -oE -- '--[a-z][a-z-]*' | grep -vxE -- '--(help|version)' | sort -u; }

same_options() { # what the truth other what-it-is
    local difference
    difference=$(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") | grep '^[<>]' || true)
    [[ -z $difference ]] || lie "$1: options differ (< its source, > $4): ${difference//$'\n'/, }"
}

check_program() { # page source command...
    local page=docs/man/$1 source=$2 real help
    shift 2
    real=$(sed -nE 's/.*\{"([a-z-]+)", (no|required)_argument.*/--\1/p; s/.*, *\{"([a-z-]+)", (no|required)_argument.*/--\1/p' <(
        sed 's/}, */},\n/g' "$source") | options || true)
    help=$("$@" --help)
    same_options "$page" "$real" "$(options <<<"$help" || true)" 'its --help'
    same_options "$page" "$real" "$(sed 's/[*\\]//g' "$page" | options || true)" 'the page'
}

check_program fedavg-coordinator.8.scd coordinator/main.c "$bin/fedavg-coordinator"
check_program fedavg-client.8.scd client/main.c "$bin/fedavg-client"
commands() { "$bin/fedavg" help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'; }
while read -r command; do
    [[ $command == coordinator || $command == client ]] ||
        check_program "fedavg-$command.1.scd" "cli/$command.c" "$bin/fedavg" "$command"
done < <(commands)
while read -r command; do
    grep -qF -- "*$command*" docs/man/fedavg.1.scd || lie "docs/man/fedavg.1.scd: says nothing of the command $command"
done < <(commands)

# The paragraph that explains a key: from the line that begins with it to the next empty line, without markup.
paragraph() { # page key
    awk -v key="_$2_" '
        !inside && index($0, key) && /^_/ { inside = 1 }
        inside && /^$/ { exit }
        inside { gsub(/[\\*]/, ""); print }' "$1"
}

check_keys() { # file page
    local page=docs/man/$2 file path fallback name text
    while read -r file path fallback; do
        [[ $file == "$1" ]] || continue
        name=${path##*\[\].} # of the items of a list the page tells by their own names
        name=${name%\[\]}      # a list of plain values
        text=$(paragraph "$page" "$name")
        if [[ -z $text ]]; then # "clients.first" may be told under "clients", "layers[].units" under "layers"
            text=$(paragraph "$page" "${name%%.*}")
            [[ -n $text || $path != *\[\]* ]] || text=$(paragraph "$page" "${path%%\[*}")
            [[ $text == *"_${name##*.}_"* ]] || lie "$page: the key $path is missing"
        elif [[ $fallback != - && $text != *"efault"*"${fallback//\*/}"* ]]; then
            lie "$page: the key $path does not tell its default, $fallback"
        fi
    done <<<"$settings"
    while read -r name; do
        [[ $'\n'$settings == *$'\n'"$1 $name "* || $'\n'$settings == *$'\n'"$1 "*"[].$name"[.\ ]* ||
            $'\n'$settings == *$'\n'"$1 ${name}[]"* ]] || lie "$page: there is no key $name"
    done < <(sed -nE '/^# (KEYS|THE FILE)/,/^# (SEE|EXIT)/{/^_.*_$/{s/^_//; s/_$//; s/_, _/\n/g; p}}' "$page")
}

settings=$("$list_settings")
check_keys task fedavg-task.5.scd
check_keys client fedavg-client.yaml.5.scd
check_keys roster fedavg-roster.1.scd
stale=$(docs/make-settings "$list_settings" --check 2>&1) || lie "$stale"

# What is written as JSON: every name between json_pack( and the end of that call.
check_json() { # source page
    local name
    while read -r name; do
        grep -qE -- "[_*]${name}[_*]" "docs/man/$2" || lie "docs/man/$2: says nothing of \"$name\", which $1 writes"
    done < <(tr '\n' ' ' <"$1" | grep -oE 'json_pack\([^;]*;' | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u)
}
check_json coordinator/report.c fedavg-simulate.1.scd
check_json coordinator/store/status_report_encode.c fedavg-status.1.scd
check_json cli/keygen.c fedavg-keygen.1.scd
check_json cli/init.c fedavg-init.1.scd
check_json cli/doctor.c fedavg-doctor.1.scd
check_json cli/roster.c fedavg-roster.1.scd
check_json cli/roster/view.c fedavg-roster.1.scd
check_json cli/enroll.c fedavg-enroll.1.scd
check_json cli/partition.c fedavg-partition.1.scd
check_json cli/fedavg.c fedavg.1.scd
check_json cli/show.c fedavg-show.1.scd
check_json cli/plot.c fedavg-plot.1.scd
check_json cli/compare.c fedavg-compare.1.scd
check_json cli/backup/set.c fedavg-backup.1.scd

if command -v scdoc >/dev/null; then
    for page in docs/man/*.scd; do
        complaint=$(scdoc <"$page" 2>&1 >/dev/null) && [[ -z $complaint ]] || lie "$page: scdoc says: $complaint"
    done
fi

[[ $lies == 0 ]]
