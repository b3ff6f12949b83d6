#!/usr/bin/env bash
# The installed library: the example is built by find_package and by pkg-config, shared and static,
# and does what it says; the installed command runs.
# shellcheck source=tests/cli/tiny.sh
. "$(dirname "$0")/tiny.sh"
if sanitized; then
    echo "skipped: a library with sanitizers is not for programs without"
    exit 77
fi
top=$(cd "$(dirname "$0")/../.." && pwd)
prefix=$work/prefix
cmake --install "$tools/.." --prefix "$prefix" >"$work/out" 2>"$work/err" || fail "cmake --install"
libdir=$(dirname "$(find "$prefix" -name 'libmantissa.so')")
export PKG_CONFIG_PATH=$libdir/pkgconfig
text="the small cat sleeps"
"$prefix/bin/mantissa" --version >"$work/out"
[ "$(cat "$work/out")" = "mantissa $(pkg-config --modversion mantissa)" ] || fail "versions differ"

run_example() { # NAME PROGRAM: trains, and prints a label that the training file has
    "$2" "$task/model" "$task/train.tsv" "$work/$1.d" "$text" >"$work/$1" 2>"$work/err" ||
        fail "$1: exit status $?"
    grep -qE "^(animal|dish|tool)"$'\t' "$work/$1" || fail "$1: printed $(cat "$work/$1")"
    has err "step 20 of 20: loss"
    cmp "$work/$1.d/model.safetensors" "$work/first.d/model.safetensors" || fail "$1: another model"
    cmp "$work/$1" "$work/first" || fail "$1: another answer"
}
cmake -S "$top/examples" -B "$work/examples" -DCMAKE_PREFIX_PATH="$prefix" \
    >"$work/out" 2>"$work/err" || fail "find_package(mantissa)"
cmake --build "$work/examples" >"$work/out" 2>"$work/err" || fail "the example is not built"
run_example first "$work/examples/train_and_predict"
read -ra flags < <(pkg-config --cflags --libs mantissa)
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror "$top/examples/train_and_predict.c" "${flags[@]}" \
    -Wl,-rpath,"$libdir" -o "$work/by-pkg-config" 2>"$work/err" || fail "pkg-config: no program"
run_example shared "$work/by-pkg-config"
mkdir "$work/archive"
cp "$libdir/libmantissa.a" "$work/archive"
read -ra flags < <(pkg-config --static --cflags --libs mantissa)
"${CC:-cc}" -std=c11 "$top/examples/train_and_predict.c" -L"$work/archive" "${flags[@]/#-L$libdir/-L$work/archive}" \
    -o "$work/statically" 2>"$work/err" || fail "pkg-config --static: no program"
[ "$(ldd "$work/statically" | grep -c libmantissa)" -eq 0 ] || fail "the static program needs the library"
run_example static "$work/statically"
if "$work/by-pkg-config" 2>"$work/err"; then fail "no arguments: exit status 0"; fi
has err "usage: train_and_predict"
if "$work/by-pkg-config" "$work/none" "$task/train.tsv" "$work/o" x 2>"$work/err"; then fail "no model"; fi
has err "error: $work/none: no such folder"
