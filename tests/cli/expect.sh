# shellcheck shell=bash
# What the command-line tests share; sourced with $1 the command and $2 a build folder.
set -euo pipefail
export LC_ALL=C
mantissa=$1
work=$(mktemp -d "$2/cli.XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    echo "--- standard output"
    head -n 20 "$work/out"
    echo "--- standard error"
    head -n 20 "$work/err"
    exit 1
}

# run STATUS WORDS...: the command ends with STATUS; its output is in $work/out and $work/err.
run() {
    local expected=$1 status=0
    shift
    "$mantissa" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [ "$status" -eq "$expected" ] || fail "mantissa $*: exit status $status, expected $expected"
}

# has FILE TEXT: the file (out, err or a path) holds the text.
has() {
    local file=$1
    [ "$file" != out ] && [ "$file" != err ] || file=$work/$1
    grep -qF -e "$2" "$file" || fail "'$2' is not in $1"
}

# refuse STATUS TEXT WORDS...: fails with one line of error that holds TEXT, and prints no result.
refuse() {
    local status=$1 text=$2
    shift 2
    run "$status" "$@"
    has err "mantissa: error: "
    has err "$text"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "mantissa $*: more than one line of error"
    [ ! -s "$work/out" ] || fail "mantissa $*: printed something on standard output"
}
