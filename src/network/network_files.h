/*
 * The share of a model's file in the memory of a network: what is mapped.
 *
 * Path: network_plan_make -> here.
 */
#ifndef MTS_NETWORK_NETWORK_FILES_H
#define MTS_NETWORK_NETWORK_FILES_H

#include "network/network.h"

/* Put into plan, which has the rest, what the model at dir says: mapped, mapped_in_use, and what of
 * the 4-bit parameters is not made in memory.  net is bound, if only for a dry run.  The errors of
 * weight_file_open. */
MTS_NODISCARD mts_status network_plan_files(mts_ctx *ctx, const network *net, const char *dir,
                                            network_plan *plan);

#endif
