/*
 * What mts_model_describe says of a GGUF file.
 *
 * Path: describe.c -> here -> io/gguf.h.
 */
#ifndef MTS_API_DESCRIBE_GGUF_H
#define MTS_API_DESCRIBE_GGUF_H

#include <jansson.h>

#include "base/status.h"

/* Whether path is described as a GGUF file: it is a file, or is named like one and no folder. */
bool describe_gguf_is_file(const char *path);

/* Add to out: version, architecture, name, sizes, tokenizer, tensors by element type.  What the
 * file does not say is left out.  The errors of gguf_open; MTS_ERR_BAD_FILE: no architecture, or a
 * key of another type or out of range. */
MTS_NODISCARD mts_status describe_gguf(mts_ctx *ctx, const char *path, json_t *out);

#endif
