#!/usr/bin/env bash
# No vector instruction beyond SSE2 in objects that every processor runs.
#
# usage: tools/check_isa.sh BUILD_FOLDER
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

mapfile -t generic < <(objects_of mts_generic && objects_of mts_float_generic)
mapfile -t avx2 < <(objects_of mts_avx2)
if [ ${#generic[@]} -eq 0 ] || [ ${#avx2[@]} -eq 0 ]; then
    echo "$folder: expected the objects of a build, found none"
    exit 1
fi
if ! objdump -d --no-show-raw-insn "${avx2[@]}" | grep -q '%ymm'; then
    echo "no ymm register in the AVX2 objects: this check is blind"
    exit 1
fi
bad=0
for object in "${generic[@]}"; do
    if objdump -d --no-show-raw-insn "$object" | grep -m1 -E '%([yzt]mm|k[1-7]\b)'; then
        echo "$object: uses more than SSE2"
        bad=1
    fi
done
[ "$bad" -eq 0 ] && echo "${#generic[@]} generic objects: SSE2 only"
exit "$bad"
