#!/usr/bin/env bash
# Keeps what the documents point at true: check_links.sh [TREE] (default: this one).
#   - every relative link in a Markdown file leads to something, and its #heading is there;
#   - what stands between backticks in a Markdown file exists: a path of this tree, a source file by its name, an option of one of
#     our scripts (`deploy/test --long`), a test (`house/lying`), also inside a longer command;
#   - what a document quotes of a program, *"like this"*, stands in its source;
#   - paths of this tree in a manual exist;
#   - docs/architecture.md names every folder that holds code, and every file that is the door to a library;
#   - exit statuses, refusals and alerts are told where people look them up: all of them, under their numbers.
# Each lie is one line; exit status 1 if there is any.
# --self-test shows on a small tree that every rule can fail, and that a tree without lies passes.
set -euo pipefail

# The files of the tree: what git knows or would, else all.
list_files() {
    git ls-files --cached --others --exclude-standard 2>/dev/null ||
        find . -type f -not -path './.git/*' -not -path './build/*' -not -path '*/node_modules/*' -printf '%P\n'
}

lie() { printf '%s\n' "$*"; }

# What GitHub makes of headings: lower case, without punctuation, spaces as hyphens.
anchors() { # document
    sed -nE '/^```/,/^```/d; s/^#+ +//p' "$1" | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

check_link() { # document link
    local document=$1 link=$2 target
    [[ ! $link =~ ^[a-z]+: ]] || return 0
    target=$(dirname -- "$document")/${link%%#*}
    [[ ${link%%#*} != '' ]] || target=$document
    if [[ ! -e $target ]]; then
        lie "$document: no such file: $link"
    elif [[ $link == *'#'* ]] && ! anchors "$target" | grep -qxF -- "${link#*#}"; then
        lie "$document: no such heading: $link"
    fi
}

# A script of ours and the options that follow it.
check_options() { # document script options...
    local document=$1 script=$2 option
    [[ -f $script ]] || return 0
    for option in "${@:3}"; do
        [[ $option != --* ]] || grep -qF -- "${option%%=*}" "$script" || lie "$document: $script has no option $option"
    done
}

# A test by the name that ctest has for it, or how that begins: it is a regular expression there.
check_test() { # document name
    local kind=${2%%/*} name=${2#*/}
    compgen -G "tests/$kind/${name}*" >/dev/null || compgen -G "tests/$kind/check_${name}*" >/dev/null ||
        lie "$1: no such test: $2"
}

check_words() { # document words...: what stood between two backticks
    local document=$1 word
    shift
    [[ ${1#./} != deploy/* && ${1#./} != bench/* ]] || check_options "$document" "${1#./}" "${@:2}"
    for word in "$@"; do
        word=${word#./}
        if [[ $word =~ ^(house|unit)/[a-z_]+$ ]]; then
            check_test "$document" "$word"
        elif [[ $word =~ ^[A-Za-z0-9_./-]+/[A-Za-z0-9_./-]*$ && $ours == *" ${word%%/*} "* ]]; then
            [[ -e $word ]] || lie "$document: no such file: $word"
        elif [[ $word =~ ^[A-Za-z0-9_./-]+\.(c|h|js|mjs|py|sh|cmake|proto)$ ]]; then
            grep -qE -- "(^|/)${word//./\\.}$" <<<"$files" || lie "$document: no such file: $word"
        fi
    done
}

check_document() { # document
    local document=$1 link words quote
    while read -r quote; do
        grep -rqF --include='*.[ch]' -- "$quote" common coordinator client cli 2>/dev/null ||
            lie "$document: no program says: $quote"
    done < <(tr '\n' ' ' <"$document" | tr -s ' ' | grep -oE '\*"[^"]+"\*' | sed 's/^\*"//; s/"\*$//' || true)
    while read -r link; do
        check_link "$document" "$link"
    done < <(grep -oE '\]\([^) ]+\)' "$document" | sed 's/^](//; s/)$//' || true)
    while read -r words; do
        # alternatives of a regular expression are names of tests too; its quotes are nobody's
        read -ra words <<<"${words//[\'|\"]/ }"
        [[ ${#words[@]} == 0 ]] || check_words "$document" "${words[@]}"
    done < <(sed '/^```/,/^```/d' "$document" | tr '\n' ' ' | grep -oE '`[^`]+`' | tr -d '`' || true)
}

check_manual() { # page
    local path
    while read -r path; do
        [[ $ours != *" ${path%%/*} "* || -e $path ]] || lie "$1: no such file: $path"
    done < <(grep -oE '_[A-Za-z0-9.-]+/[A-Za-z0-9./_-]+_' "$1" | sed 's/^_//; s/_$//' || true)
}

check_map() {
    local folder
    [[ -f docs/architecture.md ]] || return 0
    while read -r folder; do
        [[ -f $folder.c ]] || # the parts of cli/plot.c are in cli/plot/
            grep -qF -- "\`$folder/\`" docs/architecture.md || lie "docs/architecture.md: says nothing of the folder $folder/"
    done < <(grep -E '^(bench|cli|client|common|coordinator|deploy|include|page|proto|tests)/.*\.(c|h|js|mjs|py)$' <<<"$files" |
        sed -E 's|/[^/]*$||; s|^(tests/[^/]*)/.*|\1|' | sort -u)
}

# Libraries whose doors are files; those of zmq.h, sodium.h and jansson.h are whole folders.
check_doors() {
    local door
    [[ -f docs/architecture.md ]] || return 0
    while read -r door; do
        grep -qF -- "${door##*/}\`" docs/architecture.md || lie "docs/architecture.md: says nothing of the door $door"
    done < <(grep -rlE --include='*.c' '^#include [<"]([a-z/-]*pb-c|yaml|csv|zlib|zip|sqlite3|microhttpd|curl/curl)\.h[>"]' \
        common proto coordinator client cli 2>/dev/null | sort || true)
}

# What is looked up by number or name: each must be told of, where it is looked up.
check_told() { # document what list-of-fixed-strings
    local line
    [[ -f $1 ]] || return 0
    while read -r line; do
        [[ -z $line ]] || grep -qF -- "$line" "$1" || lie "$1: says nothing of the $2: $line"
    done <<<"$3"
}

check_tables() {
    local statuses refusals alerts
    statuses=$(sed -nE 's/^ *FED_E[A-Z]+ = -([0-9]|1[0-9]),.*/\1/p' common/base/status.h 2>/dev/null || true)
    check_told docs/faq.md 'exit status' "$(sed -E 's/.+/**&: /' <<<"$statuses")"
    check_told docs/man/fedavg.7.scd 'exit status' "$(sed -E 's/.+/*&*/' <<<"$statuses")"
    refusals=$(sed -nE 's/^ *REFUSED_([A-Z_]+) = ([1-9][0-9]*);.*/| \2 | \L\1 |/p' proto/fedavg.proto 2>/dev/null || true)
    check_told docs/protocol.md refusal "$refusals"
    alerts=$(sed -nE 's/^ *- alert: *//p' deploy/prometheus/fedavg.rules.yml 2>/dev/null || true)
    check_told docs/operations.md alert "$alerts"
}

check_tree() ( # tree
    cd -- "$1"
    files=$(list_files)
    ours=" $(sed -n 's|/.*||p' <<<"$files" | sort -u | tr '\n' ' ')"
    while read -r document; do
        check_document "$document"
    done < <(grep '\.md$' <<<"$files")
    while read -r document; do
        [[ -z $document ]] || check_manual "$document"
    done < <(grep '\.scd$' <<<"$files" || true)
    check_map
    check_doors
    check_tables
)

# Each line of the second tree that is a lie must be found, and nothing else.
self_test() { # folder
    local tree=$1 found expected
    put() { # file lines...
        mkdir -p -- "$tree/$(dirname -- "$1")"
        printf '%s\n' "${@:2}" >"$tree/$1"
    }
    put common/base/status.h '/* a room */' 'FED_OK = 0,' '    FED_EDATA = -3,  /* data */' '    FED_ENOMEM = -20, /* never told */'
    put proto/fedavg.proto '  REFUSED_UNSPECIFIED = 0;' '  REFUSED_LATE = 20;  // too late'
    put deploy/prometheus/fedavg.rules.yml '      - alert: FedavgDown'
    put deploy/test 'usage: --long'
    put tests/house/lying.py '"""A claim."""'
    put docs/faq.md '**3: data.** All of it.'
    put docs/man/fedavg.7.scd '*3* _deploy/test_ _runs/NAME_'
    put docs/protocol.md '# One, two' '| 20 | late | too late |'
    put docs/operations.md '| FedavgDown | no process |'
    put docs/architecture.md '`common/base/`, `tests/house/`, `cli/`: the house. Doors: `cli/fetch.c`.'
    put cli/fetch.c '#include <curl/curl.h>'
    put README.md '[a](docs/protocol.md#one-two) [b](https://example.org/x) `deploy/test --long`, `status.h`, `base/status.h`' \
        '`T house/lying` *"a' 'room"* `a line' 'of common/base/status.h` `model.initial` `/etc/fedavg`'
    found=$(check_tree "$tree")
    [[ -z $found ]] || { echo "self-test: a tree without lies was refused: $found" && return 1; }

    put common/base/status.h '    FED_EDATA = -3,' '    FED_EIO = -9,'
    put proto/fedavg.proto '  REFUSED_LATE = 21;'
    put deploy/prometheus/fedavg.rules.yml '      - alert: FedavgDown' '      - alert: FedavgUp'
    put common/link/link.c '/* a room */'
    put cli/plot.c '/* a subcommand */' '#include <zip.h>'
    put cli/plot/axes.c '/* a part of it */'
    put tests/house/deeper/part.py '"""A part of a claim."""'
    put docs/man/fedavg.7.scd '*3* _deploy/gone_'
    put README.md '[a](docs/gone.md) [b](docs/protocol.md#three)' '`deploy/test --short`, `common/base/gone.h`, `gone.c`, `link/base.c`' \
        "\`ctest -R 'house/lying|unit/gone'\` \`a line" 'of deploy/gone` *"never said"*'
    found=$(check_tree "$tree" | LC_ALL=C sort)
    expected='README.md: deploy/test has no option --short
README.md: no program says: never said
README.md: no such file: common/base/gone.h
README.md: no such file: deploy/gone
README.md: no such file: docs/gone.md
README.md: no such file: gone.c
README.md: no such file: link/base.c
README.md: no such heading: docs/protocol.md#three
README.md: no such test: unit/gone
docs/architecture.md: says nothing of the door cli/plot.c
docs/architecture.md: says nothing of the folder common/link/
docs/faq.md: says nothing of the exit status: **9:
docs/man/fedavg.7.scd: no such file: deploy/gone
docs/man/fedavg.7.scd: says nothing of the exit status: *9*
docs/operations.md: says nothing of the alert: FedavgUp
docs/protocol.md: says nothing of the refusal: | 21 | late |'
    [[ $found == "$expected" ]] || { diff <(printf '%s\n' "$expected") <(printf '%s\n' "$found") && return 1; }
}

if [[ ${1:-} == --self-test ]]; then
    tree=$(mktemp -d)
    trap 'rm -rf -- "$tree"' EXIT
    self_test "$tree"
else
    found=$(check_tree "${1:-$(dirname -- "$(readlink -f -- "$0")")/../..}")
    [[ -z $found ]] || { printf '%s\n' "$found" && exit 1; }
fi
