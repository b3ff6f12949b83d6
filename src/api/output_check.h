/* Results beside the data they are made from.  See output_check.c. */
#ifndef MTS_API_OUTPUT_CHECK_H
#define MTS_API_OUTPUT_CHECK_H

#include "base/status.h"

/* MTS_ERR_ARGUMENT if path is one of the data files that the options name, by whatever name, or in
 * data_dir.  Also MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status output_check_data(mts_ctx *ctx, const mts_options *options,
                                           const char *path);

#endif
