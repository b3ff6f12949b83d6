#!/usr/bin/env bash
# The public header stands alone: every C standard from C99 on, and C++, with all warnings.
set -euo pipefail
cd "$(dirname "$0")/.."
source='#include <mantissa/mantissa.h>
int main(void) { mts_ctx_destroy(0); return 0; }'
flags=(-Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only)

for compiler in gcc clang; do
    command -v "$compiler" >/dev/null || continue
    for standard in c99 c11 c17; do
        "$compiler" -std="$standard" "${flags[@]}" -x c - <<<"$source"
    done
done
for compiler in g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    "$compiler" -std=c++11 "${flags[@]}" -x c++ - <<<"$source"
done
echo "mantissa.h compiles alone"
