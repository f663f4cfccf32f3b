#!/usr/bin/env bash
# Runs librdkafka's own integration tests against a broker, each in a process of its own with a time limit.
#
#   run.sh BOOTSTRAP              the tests of tests.allow; exit status 1 if one of them does not pass
#   run.sh BOOTSTRAP --all        every test that speaks to a broker, with ':full' where its quick mode leaves all of it out: shows
#                                 which pass, and always ends with 0
#   run.sh BOOTSTRAP NAME...      these tests
#   run.sh --build                only builds
#
# A line for each test: 'ok NAME SECONDS', 'FAIL NAME SECONDS why' or 'skip NAME why'. The last one counts them. What a test
# said is kept in target/conformance/librdkafka/logs/NUMBER.log. The broker should be fresh: some tests count what is there.
#
# The library and its tests come from the crate rdkafka-sys, as cargo fetches it, and are built once under target/. That
# takes some ten minutes on one core and needs a C and C++ compiler, make, python3, and the headers of zlib, OpenSSL, zstd and
# RapidJSON. PINLAKE_TEST_KAFKA_PYTHON names a python that has confluent-kafka, for the tests that want Kafka's own tools; one wants
# Java's clients, which ../java/run.sh fetches.
#
# The broker must make unknown topics by itself, with four partitions. Tests that want one which does not are run against
# LIBRDKAFKA_NOAUTOCREATE, another broker's address, and left out where it is not set.
#
# Tests run in the suite's quick mode, which leaves some subtests out. A name with ':full' runs all of them; one with ':sasl' runs them
# against LIBRDKAFKA_SASL, the address of a broker that asks for a login and takes user 'tests' with password 'secret'.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=$here/../../../target/conformance/librdkafka
crate=rdkafka-sys crate_version=4.10.0
java_clients=3.9.2
at_once=${LIBRDKAFKA_AT_ONCE:-3}
everything=""
# No test of the allow-list comes near this.
limit_s=${LIBRDKAFKA_LIMIT_S:-180}

fetch() {
    mkdir -p "$work/fetch/src"
    : >"$work/fetch/src/lib.rs"
    cat >"$work/fetch/Cargo.toml" <<END
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[workspace]
[dependencies]
$crate = { version = "=$crate_version", default-features = false }
END
    cargo fetch --quiet --manifest-path "$work/fetch/Cargo.toml"
    local found=("${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$crate-$crate_version"*/librdkafka)
    [ -f "${found[0]}/configure" ] || { echo "run.sh: cargo left no source of $crate" >&2; exit 2; }
    rm -rf "$work/source"
    cp -r "${found[0]}" "$work/source"
    chmod -R u+w "$work/source"
    chmod +x "$work/source/configure" "$work/source/lds-gen.py"
}

build() {
    [ "$(cat "$work/built" 2>/dev/null)" != "$crate_version" ] || return 0
    echo "run.sh: building librdkafka and its tests in $work" >&2
    fetch
    (
        cd "$work/source"
        ./configure --disable-curl --disable-gssapi
        nice make -j "${LIBRDKAFKA_JOBS:-2}" libs
        nice make -j "${LIBRDKAFKA_JOBS:-2}" -C tests build
    ) >"$work/build.log" 2>&1 || { tail -20 "$work/build.log" >&2; exit 2; }
    echo "$crate_version" >"$work/built"
}

# A folder as Kafka's own distribution has it, as far as tests look into it.
kafka_folder() {
    [ ! -d "$work/kafka" ] || return 0
    "$here/../java/run.sh" --fetch "$java_clients"
    mkdir -p "$work/kafka/libs"
    ln -s "$(cd "$here/../../../target/conformance/java/$java_clients/_atoti_server_kafka/__resources__" && pwd)/plugin.jar" \
        "$work/kafka/libs/kafka-clients-$java_clients.jar"
    ln -s "$here/kafka/bin" "$work/kafka/bin"
}

# Tests that speak to a broker, as the suite lists them: not those against its mock cluster ('local'), not manual ones.
every_test() {
    awk '/_TEST\(0000/,/_TEST\(8000/' "$work/source/tests/test.c" | tr '\n' ' ' | sed 's/_TEST(/\n&/g' |
        grep -vE 'TEST_F_LOCAL|TEST_F_MANUAL|_mock,' | sed -nE 's/^_TEST\(([0-9a-z_]+),.*/\1/p'
}

# Whether a test wants a broker that does not make topics by itself.
wants_no_topics() {
    awk '/_TEST\(0000/,/_TEST\(8000/' "$work/source/tests/test.c" | tr '\n' ' ' | sed 's/_TEST(/\n&/g' |
        grep -E "^_TEST\($1,.*\"noautocreate\"" >/dev/null
}

# Runs one test and prints its line. Status 0: passed, 1: failed, 2: left out.
run_one() {
    local name=${1%%:*} suffix mode=(-Q) log began=$EPOCHREALTIME verdict took
    suffix=${1#"$name"}
    [ -z "$suffix" ] || mode=()
    if [ "$suffix" = :sasl ]; then
        [ "${LIBRDKAFKA_SASL:-}" ] || { echo "skip $1 LIBRDKAFKA_SASL names no broker"; return 2; }
        local -x RDKAFKA_TEST_CONF=$confs/sasl
    elif wants_no_topics "$name"; then
        [ "${LIBRDKAFKA_NOAUTOCREATE:-}" ] || { echo "skip $1 LIBRDKAFKA_NOAUTOCREATE names no broker"; return 2; }
        local -x BROKERS=$LIBRDKAFKA_NOAUTOCREATE RDKAFKA_TEST_CONF=$confs/noautocreate
        mode+=(-s noautocreate)
        suffix+=:noautocreate
    fi
    # The suite runs all tests of a number together, so that one log may have several verdicts.
    log=$work/logs/${name%%_*}$suffix.log
    if [ ! "$log" -nt "$confs/plain" ]; then
        # The braces keep bash's word on an aborted process out of our lines.
        { TESTS=$name timeout -k 5 "$limit_s" ./test-runner -p1 -L "${mode[@]}" 2>&1; } 2>/dev/null | plain >"$log" || true
        rm -f stats_*.json
    fi
    verdict=$(sed -nE "s/.*=+ Test $name (PASSED|FAILED|SKIPPED).*/\1/p; s/^\| $name  *\|  *SKIPPED \|.*/SKIPPED/p" "$log" | tail -1)
    took=$(awk "BEGIN{printf \"%.1f\", $EPOCHREALTIME - $began}")
    # No client is made and no broker asked in less than a millisecond: each of its subtests was left out.
    if [ "$verdict" = PASSED ] && grep -qE " $name: duration 0\.[0-9]+ms" "$log"; then
        echo "skip $1 quick mode leaves all of it out"
        return 2
    fi
    case $verdict in
        PASSED) echo "ok $1 $took"; return 0 ;;
        SKIPPED) echo "skip $1 $(left_out "$name" "$log")"; return 2 ;;
    esac
    echo "FAIL $1 $took $(why "$name" "$log" | tr '\n' ' ' | cut -c1-250)"
    return 1
}

# Why a test was left out, as its log or the table at its end says.
left_out() {
    local said
    said=$(sed -nE "s/^\| $1  *\|  *SKIPPED \|[^|]*\| *([^ ].*)/\1/p; s/^.*\[$1 .*SKIPPING TEST: (.*)/\1/p" "$2")
    said=${said%%$'\n'*}
    echo "${said:-it says nothing about why}"
}

# A log without colours.
plain() {
    sed 's/\x1b\[[0-9;]*m//g'
}

# Why a test failed: what it says under its first failure, or the log's end.
why() {
    local said
    said=$(sed -nE "/^### Test \"$1[ \"].*failed at/{s/.* failed at ([^ ]*) .*/\1/p;n;p;q}" "$2")
    echo "${said:-no verdict in $limit_s s: $(tail -1 "$2")}"
}

# Runs tests of one number, one after the other, and prints their lines.
run_number() {
    local test said status
    for test in "$@"; do
        status=0
        said=$(run_one "$test") || status=$?
        if [ "$status" -eq 2 ] && [ "$everything" ] && grep -qF "quick mode" <<<"$said"; then
            said=$(run_one "$test:full") || true
        fi
        echo "$said"
    done
}

# Runs all tests, those of some numbers at once: most of them wait most of the time.
run() {
    local tests test number="" together=() said=$confs/said
    mapfile -t tests < <(printf '%s\n' "$@" | sort)
    mkdir -p "$work/logs"
    cd "$work/source/tests"
    ulimit -c 0
    : >"$said"
    for test in "${tests[@]}" end; do
        if [ "${test%%_*}" != "$number" ] && [ "${#together[@]}" -gt 0 ]; then
            while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n || true; done
            run_number "${together[@]}" | tee -a "$said" &
            together=()
        fi
        number=${test%%_*}
        together+=("$test")
    done
    wait
    echo "$(grep -c '^ok ' "$said") passed, $(grep -c '^FAIL ' "$said") failed, $(grep -c '^skip ' "$said") skipped"
    # A listed test that is left out is one that no longer says anything.
    ! grep -qv '^ok ' "$said"
}

# bash reads a script as it goes: in a function, a changed file does no harm to a run.
main() {
    [ $# -ge 1 ] || { sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2; }
    build
    kafka_folder
    [ "$1" != --build ] || exit 0
    confs=$(mktemp -d)
    trap 'rm -rf "$confs"' EXIT
    echo "bootstrap.servers=$1" >"$confs/plain"
    echo "bootstrap.servers=${LIBRDKAFKA_NOAUTOCREATE:-}" >"$confs/noautocreate"
    printf '%s\n' "bootstrap.servers=${LIBRDKAFKA_SASL:-}" security.protocol=SASL_PLAINTEXT sasl.mechanism=SCRAM-SHA-256 \
        sasl.username=tests sasl.password=secret >"$confs/sasl"
    export RDKAFKA_TEST_CONF=$confs/plain LD_LIBRARY_PATH=../src:../src-cpp TEST_KAFKA_VERSION=3.8.0
    export KAFKA_PATH=$work/kafka BROKERS=$1
    shift
    local tests
    case ${1:-} in
        --all) everything=yes; mapfile -t tests < <(every_test); run "${tests[@]}" || true ;;
        "") mapfile -t tests < <(sed 's/ *#.*//; /^$/d' "$here/tests.allow"); run "${tests[@]}" ;;
        *) run "$@" ;;
    esac
    exit
}

main "$@"
