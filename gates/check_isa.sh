#!/usr/bin/env bash
# No vector instruction beyond SSE2 in objects that every processor runs.
#
# usage: gates/check_isa.sh BUILD_FOLDER
#
# Looks for ymm, zmm, tmm and mask registers in the disassembly of the generic objects of an x86-64
# build.  And that the check can fail: the AVX2 objects must hold ymm.
set -euo pipefail
folder=$1

if [ "$(uname -m)" != x86_64 ]; then
    echo "skipped: not an x86-64 machine"
    exit 77
fi

objects_of() {
    find "$folder/CMakeFiles/$1.dir" -name '*.o' 2>/dev/null
}

listing=$(mktemp)
trap 'rm -f "$listing"' EXIT

# first_of PATTERN OBJECT...: the first such line of the disassembly; fails if there is none.  By way
# of a file: grep stops reading at its first hit, which in a pipe would kill objdump.
first_of() {
    local pattern=$1
    shift
    objdump -d --no-show-raw-insn "$@" >"$listing" || {
        echo "objdump failed on $*"
        exit 1
    }
    grep -m1 -E "$pattern" "$listing"
}

mapfile -t generic < <(objects_of mts_generic && objects_of mts_float_generic)
mapfile -t avx2 < <(objects_of mts_avx2)
if [ ${#generic[@]} -eq 0 ] || [ ${#avx2[@]} -eq 0 ]; then
    echo "$folder: expected the objects of a build, found none"
    exit 1
fi
if ! first_of '%ymm' "${avx2[@]}" >/dev/null; then
    echo "no ymm register in the AVX2 objects: this check is blind"
    exit 1
fi
bad=0
for object in "${generic[@]}"; do
    if first_of '%([yzt]mm|k[1-7]\b)' "$object"; then
        echo "$object: uses more than SSE2"
        bad=1
    fi
done
[ "$bad" -eq 0 ] && echo "${#generic[@]} generic objects: SSE2 only"
exit "$bad"
