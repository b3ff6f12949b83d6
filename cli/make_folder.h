/*
 * A library call that writes a model's folder, with its progress.
 *
 * Path: cmd_merge.c, cmd_quantize.c, cmd_synth.c -> here -> mts_merge, mts_quantize, mts_synth.
 */
#ifndef MANTISSA_CLI_MAKE_FOLDER_H
#define MANTISSA_CLI_MAKE_FOLDER_H

#include "cli.h"

typedef mts_status make_folder_fn(mts_ctx *ctx, const mts_options *options,
                                  const mts_callbacks *callbacks);

/* Call it; kind: what the model then is, "merged".  The exit status; errors were printed. */
int make_folder(cli_args *args, make_folder_fn *call, const char *kind);

#endif
