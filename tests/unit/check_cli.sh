#!/usr/bin/env bash
# The command `fedavg` as a person meets it: check_cli.sh FEDAVG. Works in a directory of its own and removes it.
set -euo pipefail

fedavg=$(readlink -f -- "$1")
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd -- "$work"

fail() {
    printf 'check_cli: %s\n' "$*" >&2
    exit 1
}

# runs CODE TEXT ARGUMENT...: the exit code, and a text that stdout and stderr together must hold.
runs() {
    local code=0 wanted=$1 text=$2
    shift 2
    "$fedavg" "$@" >out 2>err || code=$?
    [[ $code == "$wanted" ]] || fail "fedavg $*: exit $code, not $wanted: $(cat out err)"
    grep -qF -- "$text" out err || fail "fedavg $*: no \"$text\" in: $(cat out err)"
}

# The command itself.
runs 2 'usage: fedavg COMMAND'
runs 0 'keygen' help
runs 0 'usage: fedavg status RUN' help status
runs 0 'usage: fedavg-client CLIENT.yaml' help client
runs 2 'no command nosuch' help nosuch
runs 0 'libsodium: ' --version
runs 2 'no command nosuch; `fedavg help`' nosuch
runs 2 'no command ../keygen' ../keygen
cp -- "$fedavg" alone # as the package of the command installs it, without the daemons
together=$fedavg fedavg=./alone
runs 2 'fedavg-coordinator is not installed: in Debian it is the package fedavg-coordinator' coordinator
fedavg=$together
rm -- alone

# Values that are none of those allowed.
runs 2 '--x: found "years", expected rounds, bytes or seconds' plot run -o a.svg --x years
runs 2 '--y: found "luck", expected accuracy or loss' plot run -o a.svg --y luck
runs 2 '--smooth: found "0", expected a number of rounds from 1' plot run -o a.svg --smooth 0

# A key is private, never overwritten, and its public line is what goes on the roster.
runs 0 'fedavg1:' keygen a
[[ $(stat -c %a a.key) == 600 ]] || fail 'a.key is not private'
[[ $(cat out) == "$(cat a.pub)" ]] || fail 'a.pub is not what was printed'
before=$(sha256sum a.key)
runs 7 'a.key' keygen a
[[ $before == "$(sha256sum a.key)" ]] || fail 'a.key was touched'
runs 2 'expected a name' keygen ../a
runs 2 'usage: fedavg keygen' keygen
runs 2 'usage: fedavg keygen' keygen b --nosuch
runs 0 'fedavg1:' keygen b --dir deep/er
[[ -s deep/er/b.key && -s deep/er/b.pub ]] || fail 'keygen --dir made nothing'

# The roster: added, refused, listed, re-keyed, removed.
a=$(cat a.pub) b=$(cat deep/er/b.pub)
runs 2 'no such file' roster list
runs 0 'ward-7' roster add ward-7 "$a" --clients 7 --not-before 2026-01-01
runs 2 'has the same name' roster add ward-7 "$b" --clients 8
runs 2 'has the same key' roster add ward-8 "$a" --clients 8
runs 2 'hosts client 7' roster add ward-8 "$b" --clients 0-9
runs 2 '--clients: found "9-1"' roster add ward-8 "$b" --clients 9-1
runs 2 '--clients: found "8x"' roster add ward-8 "$b" --clients 8x
runs 2 '--not-after: found "soon"' roster add ward-8 "$b" --clients 8 --not-after soon
runs 2 'usage: fedavg roster' roster add ward-8 "$b"
runs 2 'usage: fedavg roster' roster list --clients 8
runs 2 'usage: fedavg roster' roster
runs 0 '2026-01-01' roster list
runs 0 'ward-7' roster rotate ward-7 "$b"
runs 2 'has a second key already' roster rotate ward-7 "$b"
runs 0 "\"next_key\":\"$b\"" roster list --json
runs 0 'ward-7' roster rotate ward-7 --finish
runs 0 "\"key\":\"$b\"" roster list --json
runs 2 'has no second key' roster rotate ward-7 --finish
runs 0 'removed ward-7' roster remove ward-7
runs 2 'no node ward-7' roster remove ward-7
grep -q ward-7 roster && fail 'ward-7 is still there'
runs 0 'ward-8' roster add ward-8 "$a" --clients 0-9 --partial-sums --file other
runs 0 'ward-8' roster revoke ward-8 --file other
runs 2 'is revoked already' roster revoke ward-8 --file other
runs 0 'ward-8' roster readmit ward-8 --file other
runs 2 'is not revoked' roster readmit ward-8 --file other

# Signed entries and tokens.
runs 0 'fedavg-sign1:' keygen authority --enrolment
line=$(cat authority.pub)
runs 7 '1 of 1 entries do not verify' roster verify "$line" --file other
runs 2 'is there with another key' roster approve ward-8 "$b" --clients 0-9 --key authority.key --file other
runs 0 'ward-8' roster approve ward-8 "$a" --clients 0-9 --key authority.key --file other
runs 0 '1 entries verify' roster verify "$line" --file other
runs 2 'this is no enrolment key line' roster verify "$a" --file other
runs 2 '--valid: found "1w"' enroll issue ward-9 --clients 9 --key authority.key --valid 1w
runs 2 'the entry would never hold' enroll issue ward-9 --clients 9 --key authority.key --not-after 2001-01-01
runs 7 'is never overwritten' enroll issue ward-9 --clients 9 --key authority.key --out a.pub
runs 0 'fedavg-token1:' enroll issue ward-9 --clients 9-11 --key authority.key
cp -- out token
runs 7 'chmod 600 token' enroll show token
chmod 600 token
runs 0 'clients        9-11' enroll show token
runs 2 'never an argument' enroll show "$(cat token)"
grep -qF "$(cut -c40-80 token)" out err && fail 'the token was repeated'
runs 2 'usage: fedavg enroll' enroll join --token token
runs 0 '0-9' roster list --file other

# A partition: 12 examples of labels 0 0 0 0 1 1 1 1 2 2 2 2 and one pixel, over three clients.
printf '\0\0\10\3\0\0\0\14\0\0\0\1\0\0\0\1abcdefghijkl' >images
printf '\0\0\10\1\0\0\0\14\0\0\0\0\1\1\1\1\2\2\2\2' >labels
cat >task.yaml <<'TASK'
schema: 1
name: tiny
seed: 1
model: {input: 1, layers: [{units: 3}]}
data: {train: {images: images, labels: labels}, partition: {kind: shards, clients: 3, shards_per_client: 1}}
algorithm: {rounds: 1, fraction: 1, epochs: 1, batch_size: full, learning_rate: 0.1}
TASK
runs 0 '12 examples of 3 labels over 3 clients, shards (1 a client)' partition task.yaml --svg map.svg
grep -q '^examples a client: min 4, median 4, max 4$' out || fail 'wrong sizes'
grep -q '^labels a client: *min 1, median 1, max 1$' out || fail 'wrong labels'
grep -q '^skew: *0.667 ' out || fail 'wrong skew: every client has one label of three'
[[ $(grep -c '<rect x' map.svg) == 6 ]] || fail 'map.svg does not show three cells and three sizes'
runs 0 '"skew":0.66666666666666663' partition task.yaml --json
runs 2 'goes only with kind: shards' partition task.yaml --set data.partition.kind=iid
runs 0 'over 4 clients, iid' partition task.yaml --set data.partition.kind=iid \
    --set data.partition.shards_per_client=null --set data.partition.clients=4
runs 3 'labels' partition task.yaml --set data.train.labels=images
runs 2 'data.partition' partition task.yaml --set data.partition.kind=null --set data.partition.clients=null \
    --set data.partition.shards_per_client=null
runs 2 'nowhere.yaml' partition nowhere.yaml

# What is wrong with a command line is said before the usage: what is missing, what is too much, what was mixed up.
printf 'schema: 1\ncoordinator: tcp://127.0.0.1:1\n' >client.yaml
: >empty
mkdir directory
"$fedavg" keygen c >/dev/null
while IFS='|' read -r code text arguments; do
    eval "set -- $arguments"
    runs "$code" "$text" "$@"
done <<'TABLE'
2|fedavg simulate: TASK.yaml is missing|simulate
2|(--help says more)|simulate
2|fedavg simulate: "b" is one word too many|simulate a b
2|--nodes: found "0", expected a number from 1 to 256|simulate task.yaml --nodes 0
2|--log-level: found "loud", expected error, warn, info or debug|simulate task.yaml --log-level loud
2|--log-format: found "xml", expected text or json|simulate task.yaml --log-format xml
2|--set: found "x.y=65", expected 64 of them at most|simulate a $(printf -- '--set=x.y=%s ' {1..65})
2|--set: found "x.y=129", expected 128 of them at most|coordinator a $(printf -- '--set=x.y=%s ' {1..129})
2|--set: found "x.y=65", expected 64 of them at most|client a $(printf -- '--set=x.y=%s ' {1..65})
2|fedavg-coordinator: TASK.yaml is missing|coordinator
2|fedavg-coordinator: more than one word: b|coordinator a b
2|--log-level: found "loud", expected error, warn, info or debug|coordinator a --log-level loud
2|fedavg-client: CLIENT.yaml is missing|client
2|--log-format: found "xml", expected text or json|client a --log-format xml
2|fedavg partition: TASK.yaml is missing|partition
2|directory: is a directory, expected a file|partition directory
2|empty: holds nothing, expected a task: fedavg-task(5)|partition empty
2|client.yaml: is a client's file, expected a task: fedavg-task(5)|partition client.yaml
2|other: is a roster, expected a task: fedavg-task(5)|partition other
2|task.yaml: is a task, expected a client's file: fedavg-client.yaml(5)|client task.yaml --allow-root
2|task.yaml: is a task, expected a roster: fedavg-roster(1)|roster list --file task.yaml
2|fedavg keygen: NAME is missing|keygen
2|fedavg status: RUN is missing|status
2|fedavg roster: say what to do with it|roster
2|fedavg roster: there is no such action|roster nosuch
2|fedavg roster add: NAME is missing|roster add
2|fedavg roster add: PUBLICLINE is missing, as in|roster add ward-9
2|fedavg roster add: --clients is missing|roster add ward-9 x
2|too many words; is a public line one word|roster add ward-9 x y --clients 9
2|c.pub is a file; give the line that stands in it: "$(cat c.pub)"|roster add ward-9 c.pub --clients 9
2|that is a secret key, which others may have seen now|roster add ward-9 "$(cat c.key)" --clients 9
2|fedavg roster verify: ENROLMENTLINE is missing|roster verify
2|fedavg roster approve: --key is missing|roster approve ward-9 x --clients 9
2|fedavg roster list: it takes options only|roster list x
2|fedavg roster: unrecognized option '--nosuch'|roster list --nosuch
2|fedavg enroll: say what to do: issue, show or join|enroll
2|fedavg enroll issue: --clients is missing|enroll issue ward-9
2|fedavg enroll join: --token is missing|enroll join
2|fedavg enroll join: --coordinator is missing|enroll join --token a --key b
7|c.pub: holds a public line; the key file is c.key|enroll issue ward-9 --clients 9 --key c.pub
2|hello: unknown key|partition task.yaml --set hello=1
2|did you mean algorithm.epochs?|partition task.yaml --set epoch=1
TABLE

# A program beside the command is a command too.
cp -- "$fedavg" fedavg
printf '#!/bin/sh\necho "hello $*"\n' >fedavg-hello
chmod +x fedavg-hello
[[ $(./fedavg hello wide world) == 'hello wide world' ]] || fail 'fedavg-hello was not found'

# An answer that went nowhere is no success: a full disk, or nobody who listens.
lost() {
    local code=0
    "$fedavg" "$@" >/dev/full 2>err || code=$?
    [[ $code == 9 ]] || fail "fedavg $* to a full disk: exit $code, not 9: $(cat err)"
    grep -qF 'cannot write to the standard output: No space left on device' err || fail "fedavg $*: $(cat err)"
    code=0
    "$fedavg" "$@" >&- 2>err || code=$?
    [[ $code == 9 ]] || fail "fedavg $* to nobody: exit $code, not 9: $(cat err)"
}
lost help
lost --version
lost version --json
lost status --help
lost doctor
lost roster list
lost roster list --json

# A name that is not UTF-8 is no JSON: null stands for it, and what was done is said all the same.
odd=$'odd\xff'
runs 0 '"key_file":null,"public_file":null' keygen a --dir "$odd" --json
runs 0 '"file":null' roster add ward-7 "$a" --clients 7 --file "$odd/roster" --json
runs 0 '"file":null' roster list --file "$odd/roster" --json
runs 0 '"file":null' enroll issue ward-8 --clients 8 --key "$odd/a.key" --out "$odd/token" --json
runs 0 '"file":null' enroll show "$odd/token" --json

# A public line that is there may be that of another, and stays; and what cannot be written is not begun.
printf 'the line that its owner sent\n' >theirs.pub
runs 7 'theirs.pub: exists already, and a public line is never overwritten' keygen theirs
[[ $(cat theirs.pub) == 'the line that its owner sent' && ! -e theirs.key ]] || fail 'keygen wrote over a public line'
printf 'a,b\n1,2\n3,4\n' >$'two\nlines.csv'
runs 2 'without control characters' init trial --defaults --data $'two\nlines.csv'
[[ ! -e trial ]] || fail 'init left a task that nobody can read'

# Times: a token is good for a minute at least, an attempt to use one may be as short as one likes.
runs 2 '--valid: found "59s", expected a time from 60s to 366d' enroll issue ward-9 --clients 9 --key "$odd/a.key" --valid 59s
runs 8 'no answer in time' enroll join --token "$odd/token" --key a.key --coordinator ipc:///nowhere --coordinator-key "$b" --timeout 1s
