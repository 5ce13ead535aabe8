#!/usr/bin/env bash
# Keeps the map of the house honest by reading the #include lines of a source tree (default: this one):
#   - a room includes only the rooms it may know;
#   - the pure rooms, those that say so at the head of their header among them, include no socket, clock or file, and use
#     <stdio.h> for snprintf alone;
#   - a third-party header is included only behind its door and never in a header of ours.
# Each violation is one line, "file:line: rule"; exit status 1 if there is any.
# --self-test shows on a small tree that every rule can fail, and that a clean tree passes.
set -euo pipefail

# Every include and every use of a stdio stream, as "file line kind name"; the rules are in judge.
list_facts() { # tree
    local folders=() folder
    local streams='(FILE|std(in|out|err))([^A-Za-z0-9_]|$)'
    streams+='|(f?open|v?f?printf|f?puts|f(read|write)|perror|rename|unlink)[ ]*[(]'
    for folder in include common proto coordinator client cli tests bench; do
        [[ ! -d $1/$folder ]] || folders+=("$folder")
    done
    (
        cd -- "$1"
        # Rooms that say of themselves, at the head of their header, that they are pure; first, as others are judged by it.
        find "${folders[@]}" -name '*.h' -type f -exec awk '
            FNR == 1 { head = 1 }
            head && /(^|[^A-Za-z])Pure([^A-Za-z]|$)/ { print FILENAME, FNR, "says", "pure"; head = 0 }
            /\*\// { head = 0 }' {} +
        find "${folders[@]}" -name '*.[ch]' -type f -exec awk -v streams="$streams" '
            /^[ \t]*#[ \t]*include[ \t]*["<]/ {
                kind = /^[^"<]*"/ ? "ours" : "system"
                name = $0
                sub(/^[^"<]*["<]/, "", name)
                sub(/[">].*/, "", name)
                print FILENAME, FNR, kind, name
            }
            # Lines that start like a comment are prose.
            !/^[ \t]*(\/?\*|\/\/|#)/ {
                code = $0
                gsub(/"([^"\\]|\\.)*"/, "", code)
                sub(/\/[*\/].*/, "", code)
                if (match(code, "(^|[^A-Za-z0-9_>.])(" streams ")"))
                    print FILENAME, FNR, "stream", "-"
            }' {} +
    )
}

judge() {
    awk '
    function violation(rule) { print $1 ":" $2 ": " rule; bad = 1 }
    function room_of(path,  part) {
        split(path, part, "/")
        return part[1] == "common" || (part[1] == "coordinator" && part[3] != "") ? part[1] "/" part[2] : part[1]
    }
    function is_pure(path,  stem) {
        stem = path
        sub(/\.[ch]$/, "", stem)
        return path ~ pure || stem in said
    }
    BEGIN {
        all = "base seal numeric data model config link"
        may["common/base"] = "base"
        may["common/seal"] = "base seal"
        may["common/numeric"] = "base numeric"
        may["common/data"] = "base seal numeric model data"
        may["common/model"] = "base seal numeric model"
        may["common/config"] = "base seal numeric data model config"
        may["common/link"] = "base seal link"
        may["proto"] = "base seal proto"
        floors = "round store nodes http"
        may["coordinator/round"] = all " proto round"
        may["coordinator/store"] = all " proto round store"
        may["coordinator/nodes"] = all " proto nodes"
        may["coordinator/http"] = all " proto " floors
        may["coordinator"] = all " proto coordinator " floors
        may["include"] = "" # what is installed stands alone
        may["client"] = all " proto client include"
        may["cli"] = may["coordinator"] " client cli"
        may["tests"] = may["bench"] = may["cli"] " tests bench include"

        pure = "^(client/local_sgd|coordinator/(round/(aggregate|cohort|evaluate|hygiene|round(_[a-z]+)?|schedule(_[a-z]+)?|verdict)|nodes/(limit|quarantine|refusals|roster)))\\.[ch]$"
        world = "^(common/link/.*|common/base/(clock|file|log|pool)\\.h" \
            "|(dirent|fcntl|ifaddrs|netdb|poll|pthread|signal|threads|time|unistd)\\.h|(linux|net|netinet)/.*" \
            "|sys/(epoll|eventfd|file|ioctl|mman|random|select|sendfile|socket|stat|time|timerfd|times|uio|un|wait)\\.h)$"

        # Third-party header, and the files that are its door.
        door["zmq(_utils)?\\.h"] = "common/link/[^/]*\\.c"
        door["sodium(/.*)?\\.h"] = "common/(seal/[^/]*|base/rng)\\.c"
        door["sqlite3\\.h"] = "coordinator/store/sql\\.c"
        door["microhttpd\\.h"] = "coordinator/http/http(_readers)?\\.c"
        door["yaml\\.h"] = "common/config/yaml\\.c"
        door["(google/)?protobuf-c/.*|(proto/)?fedavg\\.pb-c\\.h"] = "proto/wire_(encode|decode|unpack)\\.c"
        door["cli/export/onnx\\.pb-c\\.h"] = "cli/export/onnx_file\\.c"
        door["zip\\.h"] = "cli/export/npz\\.c"
        door["zlib\\.h"] = "common/data/[^/]*\\.c"
        door["csv\\.h"] = "common/data/csv\\.c"
        door["curl/.*"] = "cli/fetch\\.c"
        door["(openblas/)?(cblas|openblas_config)\\.h"] = "(tests|bench)/.*\\.c"
        door["dlfcn\\.h"] = "(common/numeric/blas|client/edge/edge)\\.c"
        door["jansson\\.h"] = "(common|proto|coordinator|client|cli|bench)/.*\\.c"
        door["check\\.h"] = "tests/.*"

        # The C library, POSIX, Linux and the compiler.
        libc = "^((assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|signal|stdalign|stdarg" \
            "|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|tgmath|threads|time|uchar|wchar|wctype" \
            "|byteswap|dirent|endian|execinfo|fcntl|ftw|getopt|glob|grp|ifaddrs|libgen|malloc|netdb|nss|poll|pthread|pwd" \
            "|sched|semaphore|spawn|strings|syslog|termios|ucontext|unistd|arm_neon|cpuid|immintrin|xmmintrin|x86intrin" \
            "|(arpa|gnu|linux|net|netinet|sanitizer|sys)/[a-z0-9_-]+)\\.h)$"
    }
    {
        room = room_of($1)
        is_door = 0
    }
    $3 == "says" {
        stem = $1
        sub(/\.h$/, "", stem)
        said[stem] = 1
        next
    }
    $3 == "stream" {
        if (is_pure($1)) violation("a pure room touches no stream or file")
        next
    }
    is_pure($1) && $4 ~ world { violation("a pure room includes no socket, clock, file, log or thread: " $4) }
    {
        for (header in door)
            if ($4 ~ "^(" header ")$") {
                is_door = 1
                if ($1 ~ /\.h$/ && $4 != "check.h" && $1 != "tests/faults/preload.h") violation("third-party headers are never included in a header: " $4)
                else if (room != "tests" && $1 !~ "^" door[header] "$") violation("not behind its door: " $4)
            }
        if (is_door) next
    }
    $3 == "system" && $4 !~ libc { violation("a third-party header without a door: " $4) }
    $3 == "ours" {
        target = room_of($4)
        sub(/^(common|coordinator)\//, "", target)
        if ($4 !~ /\// || $4 ~ /\.\.\// ) violation("headers of ours are named from the root of the tree: " $4)
        else if (index(" " may[room] " ", " " target " ") == 0) violation(room " may not include " room_of($4) ": " $4)
    }
    END { exit bad }'
}

check_tree() { list_facts "$1" | judge; }

# Each line of the tree below that ends in a rule must be found by that rule; nothing else may be.
self_test() {
    local tree=$1 expected
    put() { # file lines...
        mkdir -p -- "$tree/$(dirname -- "$1")"
        printf '%s\n' "${@:2}" >"$tree/$1"
    }
    put common/base/rng.c '#include "common/base/rng.h"' '#include <sodium.h>' '#include <stdio.h>' 'printf("fine here");'
    put coordinator/nodes/roster.c '/* printf( and FILE in prose */' '#include <stdio.h>' 'snprintf(text, n, "open (FILE)");'
    put tests/unit/check_link.c '#include <zmq.h>' '#include <check.h>' '#include "client/session.h"' '#include "cli/x.h"'
    put coordinator/round/schedule.c 'bool open = node->open != NONE;' 'parts[node->open].state = 1;'
    put tests/unit/world.h '#include <check.h>'
    put cli/fetch.c '#include <curl/curl.h>' '#include "coordinator/store/store.h"' '#include "client/session.h"'
    put proto/wire_decode.c '#include "proto/fedavg.pb-c.h"' '#include "common/seal/seal.h"'
    check_tree "$tree" || { echo "self-test: a clean tree was refused" && return 1; }

    put common/base/status.c '#include "common/seal/keys.h"'
    put common/seal/keys.c '#include <sodium.h>' '#include "common/numeric/poly.h"'
    put common/numeric/poly.c '#include "common/data/dataset.h"'
    put common/data/dataset.c '#include <zlib.h>' '#include "common/config/task.h"'
    put common/model/model.c '#include "common/config/task.h"'
    put common/config/task.c '#include "common/link/link.h"'
    put common/link/link.c '#include "proto/wire.h"' '#include "common/model/model.h"' '  #  include "coordinator/round/round.h"'
    put proto/extra.c '#include <protobuf-c/protobuf-c.h>' '#include "common/model/model.h"'
    put coordinator/nodes/nodes.c '#include "client/session.h"' '#include <zmq.h>' '#include <cblas.h>' '#include <newlib/new.h>'
    put coordinator/round/round.c '#include "common/base/clock.h"' '#include <time.h>' 'FILE *f = NULL;' 'fprintf(f, "x");'
    put client/extra.c '#include <check.h>'
    put coordinator/round/schedule.c '#include "common/link/link.h"'
    put coordinator/round/aggregate.h '#include <sys/socket.h>'
    put coordinator/round/evaluate.c '#include "common/base/file.h"' '#include "coordinator/store/store.h"'
    put coordinator/store/curve.c '#include "coordinator/round/round.h"' '#include "coordinator/coordinator_internal.h"'
    put coordinator/loop.c '#include <sqlite3.h>' '#include <microhttpd.h>' '#include <yaml.h>' '#include "loop.h"'
    put coordinator/store/store.h '#include <sqlite3.h>'
    put client/session.c '#include "coordinator/round/round.h"' '#include <curl/curl.h>' '#include <sodium.h>' '#include "cli/x.h"'
    put client/local_sgd.c '#include <unistd.h>'
    put client/parts.h '/* Bookkeeping.' ' * Pure. */' '/* A clock */'
    put client/parts.c '#include "common/base/clock.h"'
    put client/host.h '/* Purely a host. */' '/* Pure */'
    put client/host.c '#include "common/base/clock.h"'
    put include/fedavg/x.h '#include "common/base/status.h"' '#include <zmq.h>'
    put cli/plot.c '#include <zlib.h>' '#include "tests/house/x.h"'
    put tests/unit/tree.h '#include <zmq.h>'
    expected='cli/plot.c:1: not behind its door
cli/plot.c:2: cli may not include tests
client/extra.c:1: not behind its door
client/local_sgd.c:1: a pure room includes no socket, clock, file
client/parts.c:1: a pure room includes no socket, clock, file
client/session.c:1: client may not include coordinator/round
client/session.c:2: not behind its door
client/session.c:3: not behind its door
client/session.c:4: client may not include cli
common/base/status.c:1: common/base may not include common/seal
common/config/task.c:1: common/config may not include common/link
common/data/dataset.c:2: common/data may not include common/config
common/link/link.c:1: common/link may not include proto
common/link/link.c:2: common/link may not include common/model
common/link/link.c:3: common/link may not include coordinator/round
common/model/model.c:1: common/model may not include common/config
common/numeric/poly.c:1: common/numeric may not include common/data
common/seal/keys.c:2: common/seal may not include common/numeric
coordinator/loop.c:1: not behind its door
coordinator/loop.c:2: not behind its door
coordinator/loop.c:3: not behind its door
coordinator/loop.c:4: headers of ours are named from the root
coordinator/nodes/nodes.c:1: coordinator/nodes may not include client
coordinator/nodes/nodes.c:2: not behind its door
coordinator/nodes/nodes.c:3: not behind its door
coordinator/nodes/nodes.c:4: a third-party header without a door
coordinator/round/aggregate.h:1: a pure room includes no socket, clock, file
coordinator/round/evaluate.c:1: a pure room includes no socket, clock, file
coordinator/round/evaluate.c:2: coordinator/round may not include coordinator/store
coordinator/round/round.c:1: a pure room includes no socket, clock, file
coordinator/round/round.c:2: a pure room includes no socket, clock, file
coordinator/round/round.c:3: a pure room touches no stream
coordinator/round/round.c:4: a pure room touches no stream
coordinator/round/schedule.c:1: a pure room includes no socket, clock, file
coordinator/store/curve.c:2: coordinator/store may not include coordinator
coordinator/store/store.h:1: third-party headers are never included in a header
include/fedavg/x.h:1: include may not include common/base
include/fedavg/x.h:2: third-party headers are never included in a header
proto/extra.c:1: not behind its door
proto/extra.c:2: proto may not include common/model
tests/unit/tree.h:1: third-party headers are never included in a header'
    ! check_tree "$tree" >"$tree/found" || { echo "self-test: a tree full of violations passed" && return 1; }
    LC_ALL=C sort "$tree/found" | awk -v expected="$expected" '
        BEGIN { n = split(expected, want, "\n") }
        { if (index($0, want[NR]) != 1) { print "self-test: found \"" $0 "\", expected \"" want[NR] "\""; bad = 1; exit } }
        END { if (!bad && NR != n) { print "self-test: found " NR " violations, expected " n; bad = 1 }; exit bad }'
}

if [[ ${1:-} == --self-test ]]; then
    tree=$(mktemp -d)
    trap 'rm -rf -- "$tree"' EXIT
    self_test "$tree"
else
    check_tree "${1:-$(dirname -- "$(readlink -f -- "$0")")/../..}"
fi
