/*
 * The files of a run's tokenizer, in memory: read once when the run begins, written into every
 * checkpoint and into the final folder, with --do_lower_case in them if it was given.
 *
 * A resumed run reads them from its checkpoint, which rotation may remove before the next one is
 * written; hence no copying from folder to folder.
 *
 * Path: run_prepare -> tokenizer_files_read; checkpoint_save, results_save_model -> _write.
 */
#ifndef MTS_TEXT_TOKENIZER_FILES_H
#define MTS_TEXT_TOKENIZER_FILES_H

#include "base/status.h"

/* One file; name is a constant of tokenizer_file_names, bytes are owned by the set. */
typedef struct tokenizer_file {
    const char *name;
    char *bytes;
    size_t count;
} tokenizer_file;

typedef struct tokenizer_files {
    tokenizer_file *items; /* owned */
    int64_t count;
} tokenizer_files;

/* Names of the files that make up a tokenizer of any kind; constant. */
const char *const *tokenizer_file_names(int *count);

/* *out: those of tokenizer_file_names that are in dir.  deinit is safe after failure.
 * MTS_ERR_IO, MTS_ERR_MEMORY; MTS_ERR_BAD_FILE: larger than any tokenizer. */
MTS_NODISCARD mts_status tokenizer_files_read(mts_ctx *ctx, tokenizer_files *out, const char *dir);

/*
 * Let the files say lower_case, where tokenizer programs look for it: do_lower_case of
 * tokenizer_config.json (made if there is none), and the normalizer of tokenizer.json.  Everything
 * else in them is kept.  MTS_ERR_BAD_FILE: not what tokenizer_open accepts; MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status tokenizer_files_set_lower_case(mts_ctx *ctx, tokenizer_files *files,
                                                        bool lower_case);

/* Write them into dir, which exists, each one whole or not at all.  MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tokenizer_files_write(mts_ctx *ctx, const tokenizer_files *files,
                                               const char *dir);

/* Remove from dir those of tokenizer_file_names that are not in the set: readers might prefer them.
 * MTS_ERR_IO. */
MTS_NODISCARD mts_status tokenizer_files_remove_others(mts_ctx *ctx, const tokenizer_files *files,
                                                       const char *dir);

void tokenizer_files_deinit(tokenizer_files *files);

#endif
