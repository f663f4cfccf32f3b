#!/usr/bin/env bash
# The checks of checks.py that kcat can make; it has no admin calls. Usage: with_kcat.sh BOOTSTRAP [NAME [TOPIC]].
#
# Topics and groups begin with NAME; the broker must make unknown topics by itself. TOPIC is an empty topic of seven partitions:
# without it there is no look at the partitioner and at groups of two.
set -uo pipefail

[ $# -ge 1 ] || { echo "usage: $0 BOOTSTRAP [NAME [TOPIC]]" >&2; exit 2; }
bootstrap=$1
name=${2:-kcat-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')}
seven=${3:-}
# How long anything may take that is not itself measured, and the first assignment of a group.
wait_s=120 first_assignment_s=${FIRST_ASSIGNMENT_S:-3}
passed=0 failed=0 why=""
members=()

work=$(mktemp -d)
trap 'kill "${members[@]}" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 2

# kcat with a deadline. Everything that is read ends at the partition's end.
kcat() {
    timeout "$wait_s" kcat -b "$bootstrap" -q "$@" 2>>kcat.err
}

fail() {
    why=$1
    return 1
}

check() {
    local title=$1
    shift
    why="" && : >kcat.err
    if "$@"; then
        passed=$((passed + 1))
        echo "ok $title"
    else
        failed=$((failed + 1))
        echo "FAIL $title $why $(tail -2 kcat.err | tr '\n' ' ')"
    fi
}

# Asks until the command succeeds.
until_ok() {
    local what=$1 end=$((SECONDS + wait_s))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || { fail "not within $wait_s s: $what"; return 1; }
        sleep 0.05
    done
}

same() {
    [ "$1" = "$2" ] || fail "$3: '${1:0:200}' is not '${2:0:200}'"
}

create_topic() {
    ! kcat -L | grep -qF "\"$name-made\"" || fail "there is a topic that nobody made" || return
    echo first | kcat -P -t "$name-made" || fail "can't send to a topic that is yet to be made" || return
    kcat -L | grep -qF "\"$name-made\"" || fail "the topic is not in the list"
}

# Every byte; nothing; some text; and much of what can't be compressed: one record a file.
all_bytes() {
    local byte
    for byte in {0..255}; do printf "\\x$(printf %x "$byte")"; done
}
all_bytes >every
: >nothing
printf 'значение \xf0\x9f\x98\x80\n\n' >text
head -c 900000 /dev/urandom >large

round_trip() {
    local codec=$1 topic=$name-round-trip-$1 at=0 file
    local files=(every text large every)
    # An empty file is no record to kcat, so that an empty value is a line's.
    kcat -P -t "$topic" -p 0 -z "$codec" -X enable.idempotence=true -k 'ключ' -H "n=1" -H "имя=два" -H "empty=" "${files[@]}" ||
        fail "can't send" || return
    for file in "${files[@]}"; do
        kcat -C -t "$topic" -p 0 -o "$at" -c 1 -D '' >got || fail "can't read offset $at" || return
        cmp got "$file" 2>>kcat.err || fail "the value at offset $at is not that of $file" || return
        same "$(kcat -C -t "$topic" -p 0 -o "$at" -c 1 -f '%o %k %h %S\n')" "$at ключ n=1,имя=два,empty= $(stat -c %s "$file")" "record" || return
        at=$((at + 1))
    done
    for at in {1..500}; do echo "key-$at:value $at of all, of all, of all"; done >lines
    kcat -P -t "$topic-lines" -p 0 -z "$codec" -K : <lines || fail "can't send lines" || return
    kcat -C -t "$topic-lines" -p 0 -o beginning -e -K : >got || fail "can't read lines" || return
    cmp got lines 2>>kcat.err || fail "the lines are not the same"
}

nulls() {
    printf ':no key\nno value:\n' | kcat -P -t "$name-nulls" -p 0 -Z -K : || fail "can't send" || return
    same "$(kcat -C -t "$name-nulls" -p 0 -o beginning -e -f '%K %S;')" "-1 6;8 -1;" "lengths of keys and values"
}

offsets_by_time() {
    printf '1\n2\n3\n' | kcat -P -t "$name-times" -p 0 || fail "can't send" || return
    same "$(kcat -Q -t "$name-times:0:1")" "$name-times [0] offset 0" "the offset at the beginning of time" || return
    same "$(kcat -Q -t "$name-times:0:-1")" "$name-times [0] offset 3" "the end" || return
    same "$(kcat -Q -t "$name-times:0:4102444800000")" "$name-times [0] offset -1" "the offset in the year 2100"
}

partitioner() {
    local i key places=()
    for i in {0..19}; do
        key=$(printf 'x%.0s' $(seq 1 "$i"))
        [ "$i" -gt 0 ] || key=""
        printf '%s\t%s\n' "${key}é$i" "$i"
    done | kcat -P -t "$seven" -K $'\t' -X topic.partitioner=murmur2_random || fail "can't send" || return
    mapfile -t places < <(kcat -C -t "$seven" -o beginning -e -f '%s %p\n' | sort -n | cut -d' ' -f2)
    echo "partitions: ${places[*]}"
    same "${#places[@]}" 20 "records read"
}

# Starts a member of the group on TOPIC; its words go to the file.
join() {
    command kcat -b "$bootstrap" -G "$name-group" -X auto.offset.reset=earliest -X heartbeat.interval.ms=300 \
        -X session.timeout.ms=10000 -f '%p:%o\n' -u "$seven" >"$1.records" 2>"$1.words" &
    members+=($!)
}

# The partitions that a member has now.
assigned() {
    sed -nE '/rebalanced.*(assigned|revoked)/h;${x;p}' "$1.words" | grep -F assigned: | grep -oE '\[[0-9]+\]' | tr -d '[]' | sort -n | tr '\n' ' '
}

has_all() {
    [ "$(assigned "$1")" = "0 1 2 3 4 5 6 " ]
}

share() {
    local one other
    one=$(assigned first) other=$(assigned second)
    [ -n "$one" ] && [ -n "$other" ] && [ "$(echo "$one $other" | tr ' ' '\n' | grep . | sort -n | tr '\n' ' ')" = "0 1 2 3 4 5 6 " ]
}

saw_every_record() {
    [ "$(sort -u first.records second.records | wc -l)" -eq "$1" ]
}

group_rebalance() {
    local began=$EPOCHREALTIME total partition
    for partition in {0..6}; do kcat -P -t "$seven" -p "$partition" <lines || fail "can't send" || return; done
    total=$(kcat -C -t "$seven" -o beginning -e -f '.\n' | wc -l)
    began=$EPOCHREALTIME
    join first
    until_ok "the first member has all partitions" has_all first || return
    awk "BEGIN{exit !($EPOCHREALTIME - $began < $first_assignment_s)}" || fail "the first assignment took too long" || return
    join second
    until_ok "the members share the partitions" share || return
    kill "${members[0]}"
    until_ok "the second member has all partitions" has_all second || return
    until_ok "the members were given every record" saw_every_record "$total" || return
    kill "${members[1]}"
    wait "${members[@]}"
    members=()
    return 0
}

group_resume() {
    local topic=$name-resume
    seq 1 50 | kcat -P -t "$topic" -p 0 || fail "can't send" || return
    same "$(kcat -G "$topic" -X auto.offset.reset=earliest -c 20 "$topic" | tail -1)" 20 "the last of the first twenty" || return
    same "$(kcat -G "$topic" -X auto.offset.reset=earliest -c 30 "$topic" | tr '\n' ' ')" "$(seq 21 50 | tr '\n' ' ')" "the rest"
}

transaction_commit() {
    local topic=$name-tx
    kcat -P -t "$topic" -p 0 -X "transactional.id=$name" <lines || fail "can't send" || return
    kcat -C -t "$topic" -p 0 -o beginning -e -X isolation.level=read_committed >got || fail "can't read" || return
    cmp got lines 2>>kcat.err || fail "the records are not the same" || return
    # The commit's own marker has an offset too.
    same "$(kcat -Q -t "$topic:0:-1")" "$topic [0] offset 501" "the end"
}

check create_topic create_topic
for codec in none gzip snappy lz4 zstd; do check "round_trip_${codec/none/plain}" round_trip "$codec"; done
check nulls nulls
check offsets_by_time offsets_by_time
if [ -n "$seven" ]; then
    check partitioner partitioner
    check group_rebalance group_rebalance
fi
check group_resume group_resume
check transaction_commit transaction_commit
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
