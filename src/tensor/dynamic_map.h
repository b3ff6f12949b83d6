/*
 * The maps of AdamW with 8-bit moments: which number each of 256 codes stands for.  [Dettmers2022]
 *
 *   decade j = 0 .. 6 has n = 2^j numbers (without signs 2^(j+1)): 10^(j-6) times the middles of n
 *   equal parts of [0.1, 1]; with signs, their negatives too; and 0, and 1.        FORMATS.md (12)
 *
 * These are the values of bitsandbytes' create_dynamic_map(signed, 7, 8), bit for bit, where torch
 * computes its linspace element by element (ATEN_CPU_CAPABILITY=default).  Where torch uses vectors
 * its values depend on their width, by at most 2 units in the last place.
 *
 * Path: optimizer_create -> here; used by float_kernels.adamw_8bit.
 */
#ifndef MTS_TENSOR_DYNAMIC_MAP_H
#define MTS_TENSOR_DYNAMIC_MAP_H

#include "kernels/float_kernels.h"

/*
 * *map is overwritten: values in [-1, 1], codes 0 .. 126 negative and 127 for 0 (-1 is not among
 * them: the smallest is -0.993), or without signs in [0, 1], code 0 for 0.  Float operations in a
 * fixed order: the same bits on every machine.  Cannot fail.
 */
void dynamic_map_make(dynamic_map *map, bool with_signs);

#endif
