#!/usr/bin/env bash
# The shared library exports the functions of the public header and nothing else.
#
# usage: gates/check_exports.sh BUILD_FOLDER
set -euo pipefail
library=$1/libmantissa.so
header=$(cd "$(dirname "$0")/.." && pwd)/include/mantissa/mantissa.h

# .gomp_critical_user_*: locks of OpenMP's named critical sections, which gcc always exports
exported=$(nm -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' |
    grep -v '^\.gomp_critical_user_' | sort)
declared=$(grep -oE '\bmts_[a-z0-9_]+\(' "$header" | tr -d '(' | sort -u)
extra=$(comm -23 <(echo "$exported") <(echo "$declared"))
missing=$(comm -13 <(echo "$exported") <(grep -E 'MTS_API' "$header" |
    grep -oE '\bmts_[a-z0-9_]+\(' | tr -d '(' | sort -u))
[ -z "$extra" ] || echo "exported, but not in the header:" $extra
[ -z "$missing" ] || echo "in the header, but not exported:" $missing
[ -z "$extra$missing" ] || exit 1
echo "$(wc -l <<<"$exported") exported functions"
