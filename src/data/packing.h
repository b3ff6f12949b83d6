/*
 * Packing: several rows of an encoded data set become one, so that rows are of nearly one length.
 *
 * Path: language_modeling (--packing) -> here -> sampler, batch.
 *
 * Best fit, decreasing: the rows, the longest first (of one length in their order), are each put
 * into the packed row in which they leave the least room, of several the one that had that room
 * first; where none has room, a new one is begun.  That is TRL's packing_strategy "bfd".  The rows
 * stay sequences of their own: a batch gives each positions from 0 on and its own attention.
 */
#ifndef MTS_DATA_PACKING_H
#define MTS_DATA_PACKING_H

#include "data/encoded_dataset.h"

/*
 * Replace the rows of e, none longer than max_length (1 to 65536) and with targets of tokens
 * (TARGET_NEXT), by packed ones of at most max_length tokens.  MTS_ERR_MEMORY: e is unchanged.
 */
MTS_NODISCARD mts_status encoded_dataset_pack(mts_ctx *ctx, encoded_dataset *e, int64_t max_length);

#endif
