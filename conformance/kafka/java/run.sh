#!/usr/bin/env bash
# The checks with Java's own clients. Usage: run.sh BOOTSTRAP VERSION [NAME], VERSION 3.9.2 or 4.2.1; or run.sh --fetch VERSION.
#
# Kafka's Java clients are on no registry but Maven's. Two Python wheels of another product have them inside, unchanged: they are
# fetched when the checks run, into target/, and are never kept or shipped. Needs a JDK from 17 on and Debian's libslf4j-java;
# libsnappy-java and libzstd-jni-java add their codecs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
version=$2
case $version in
    3.9.2) wheel=atoti-server-kafka==0.9.16 python=3.11 ;;
    4.2.1) wheel=atoti-server-kafka==6.2.2 python=3.13 ;;
    *) echo "run.sh: the versions are 3.9.2 and 4.2.1" >&2; exit 2 ;;
esac
work=$here/../../../target/conformance/java/$version
clients=$work/_atoti_server_kafka/__resources__/plugin.jar

if [ ! -f "$clients" ]; then
    mkdir -p "$work"
    "${PINLAKE_TEST_KAFKA_PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --python-version "$python" --dest "$work" "$wheel"
    (cd "$work" && jar xf ./*.whl)
fi
grep -q "version=$version" <(unzip -p "$clients" kafka/kafka-version.properties 2>/dev/null || jar xOf "$clients") ||
    { echo "run.sh: $clients holds no clients $version" >&2; exit 2; }

jars=/usr/share/java
path=$clients:$jars/slf4j-api.jar:$jars/slf4j-simple.jar
for codec in snappy-java zstd-jni; do
    [ ! -f "$jars/$codec.jar" ] || path=$path:$jars/$codec.jar
done
mkdir -p "$work/classes"
# javac notes that 3.9.2 had calls that 4.2.1 is to lose; that is what these checks are for.
javac -nowarn -Xlint:none -d "$work/classes" -cp "$path" "$here"/*.java 2>"$work/javac.log" || { cat "$work/javac.log" >&2; exit 2; }
[ "$1" != --fetch ] || exit 0
exec java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=off -cp "$work/classes:$path" \
    Checks "$1" "${3:-java-$version-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')}"
