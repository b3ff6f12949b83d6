#!/usr/bin/env bash
# Run the libFuzzer targets, one after the other, and print a table of what they found.
#
# usage: tests/fuzz/run.sh SECONDS [NAME...]      (each NAME for so many seconds; default: all)
#
# Builds with clang, AddressSanitizer and UBSan in build/fuzz; each target keeps its corpus in
# build/fuzz/corpus/NAME from run to run (seeds: those of target_NAME.c), its findings are in
# build/fuzz/findings/NAME and its log in build/fuzz/logs/NAME.log.  Exit status 1: something was
# found.
#
#   executions  inputs tried              coverage  edges of the library that were reached
#   corpus      inputs that are kept      findings  crashes, leaks, timeouts, more memory than 2 GB
#
# MTS_FUZZ_BUILD     another build folder
# MTS_FUZZ_TIMEOUT   seconds that one input may take; default 10
set -euo pipefail
cd "$(dirname "$0")/../.."

case ${1:-} in
-h | --help)
    sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 0
    ;;
'' | *[!0-9]*)
    echo "usage: tests/fuzz/run.sh SECONDS [NAME...]" >&2
    exit 2
    ;;
esac
seconds=$1
shift
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for file in tests/fuzz/target_*.c; do
        name=${file##*/target_}
        names+=("${name%.c}")
    done
fi
for name in "${names[@]}"; do
    if [ ! -e "tests/fuzz/target_$name.c" ]; then
        echo "run.sh: no target $name; there are:" tests/fuzz/target_*.c >&2
        exit 2
    fi
done

build=${MTS_FUZZ_BUILD:-build/fuzz}
mkdir -p "$build/logs"
if ! { cmake -S . -B "$build" -DCMAKE_C_COMPILER=clang -DMTS_FUZZ=ON \
    -DMTS_SANITIZE=address,undefined && cmake --build "$build" --target fuzz -j "$(nproc)"; } \
    >"$build/logs/build.log" 2>&1; then
    tail -n 30 "$build/logs/build.log" >&2
    echo "run.sh: the build failed, log: $build/logs/build.log" >&2
    exit 2
fi

# Files of the targets lie in memory, where there is such a file system.
base=/dev/shm
[ -w "$base" ] || base=$(pwd)/$build
work=$(mktemp -d "$base/mantissa_fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work OMP_NUM_THREADS=1
# LeakSanitizer stops the program it is asked about; a container may forbid that.
leaks=1
"$build/tests/fuzz_numbers" -runs=0 >"$build/logs/leaks.log" 2>&1 || leaks=0
[ $leaks -eq 1 ] || echo "LeakSanitizer cannot trace here: leaks are found at the end of a run only" >&2
export ASAN_OPTIONS=detect_leaks=$leaks:allocator_may_return_null=1:handle_abort=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

# The last number behind a word in the lines of libFuzzer.
last_number() { # WORD LOG
    grep -oE "$1[ :]+[0-9]+" "$2" | tail -n 1 | grep -oE '[0-9]+$' || echo 0
}

found=0
printf '%-12s %8s %12s %9s %7s %9s\n' name seconds executions coverage corpus findings
for name in "${names[@]}"; do
    corpus=$build/corpus/$name findings=$build/findings/$name log=$build/logs/$name.log
    mkdir -p "$corpus" "$findings"
    rm -f "$findings"/*
    "$build/tests/fuzz_$name" --write_seeds "$corpus" >/dev/null
    started=$SECONDS
    status=0
    "$build/tests/fuzz_$name" "$corpus" -dict="$corpus.dict" -max_total_time="$seconds" \
        -max_len=4096 -len_control=0 -timeout="${MTS_FUZZ_TIMEOUT:-10}" -rss_limit_mb=2048 \
        -malloc_limit_mb=1024 -detect_leaks=$leaks -print_final_stats=1 \
        -artifact_prefix="$findings/" >"$log" 2>&1 </dev/null || status=$?
    count=$(find "$findings" -type f | wc -l)
    [ "$status" -eq 0 ] || [ "$count" -gt 0 ] || count=1
    [ "$count" -eq 0 ] || found=1
    printf '%-12s %8d %12s %9s %7s %9d\n' "$name" $((SECONDS - started)) \
        "$(last_number stat::number_of_executed_units "$log")" "$(last_number cov "$log")" \
        "$(find "$corpus" -type f | wc -l)" "$count"
    [ "$count" -eq 0 ] || grep -nE '^(SUMMARY|==[0-9]+==ERROR|.*: expected |.*runtime error)' "$log" |
        head -n 5 || true
done
exit $found
