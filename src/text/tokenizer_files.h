/*
 * The files of a run's tokenizer, in memory: read once when the run begins, written into every
 * checkpoint and into the final folder, with the rules in them by which the run cut its texts.
 *
 * A resumed run reads them from its checkpoint, which rotation may remove before the next one is
 * written; hence no copying from folder to folder.
 *
 * Path: run_prepare -> tokenizer_files_read, tokenizer_write_rules;
 *       checkpoint_save, results_save_model -> tokenizer_files_write.
 */
#ifndef MTS_TEXT_TOKENIZER_FILES_H
#define MTS_TEXT_TOKENIZER_FILES_H

#include <jansson.h>

#include "text/tokenizer.h"

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

/* *out: none yet, with room for all.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tokenizer_files_init(mts_ctx *ctx, tokenizer_files *out);

/* *out: those of tokenizer_file_names that are in dir.  deinit is safe after failure.
 * MTS_ERR_IO, MTS_ERR_MEMORY; MTS_ERR_BAD_FILE: larger than any tokenizer. */
MTS_NODISCARD mts_status tokenizer_files_read(mts_ctx *ctx, tokenizer_files *out, const char *dir);

/* As tokenizer_open, and *files: the files of the tokenizer, also tokenizer.json where it is made
 * of others; give them to tokenizer_files_deinit in every case.  NULL: they are not wanted. */
MTS_NODISCARD mts_status tokenizer_open_files(mts_ctx *ctx, const char *model_dir, tokenizer **out,
                                              tokenizer_files *files);

/*
 * Let the files say the rules by which tok cuts texts (it may have been told to lower-case or not),
 * in all places where a program may look for them, so that each gets the same tokens from them.
 * Everything else in them is kept; a file with nothing to change keeps its bytes.
 * words: those that are given to tokenizer_encode_words.
 * files: those that tok was opened from.  MTS_ERR_BAD_FILE: not what tokenizer_open accepts;
 * MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status tokenizer_write_rules(mts_ctx *ctx, const tokenizer *tok, bool words,
                                               tokenizer_files *files);

/* Write them into dir, which exists, each one whole or not at all.  MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tokenizer_files_write(mts_ctx *ctx, const tokenizer_files *files,
                                               const char *dir);

/* Remove from dir those of tokenizer_file_names that are not in the set: readers might prefer them.
 * MTS_ERR_IO. */
MTS_NODISCARD mts_status tokenizer_files_remove_others(mts_ctx *ctx, const tokenizer_files *files,
                                                       const char *dir);

/* *out: the JSON object in the file of that name, NULL if it is not in the set; drop with
 * json_decref.  MTS_ERR_BAD_FILE, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tokenizer_files_parse(mts_ctx *ctx, const tokenizer_files *files,
                                               const char *name, json_t **out);

/* Let the file of that name, a constant of tokenizer_file_names, hold the text of root; it is added
 * if it is not in the set.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tokenizer_files_put(mts_ctx *ctx, tokenizer_files *files, const char *name,
                                             const json_t *root);

/* The same with a text.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tokenizer_files_put_text(mts_ctx *ctx, tokenizer_files *files,
                                                  const char *name, const char *text);

/* Let dialogues be written by the template in the file at path, or in chat_template.jinja of the
 * folder there, and the files (may be NULL) hold it.  MTS_ERR_NOT_FOUND, MTS_ERR_IO; statuses of
 * jinja_compile. */
MTS_NODISCARD mts_status tokenizer_set_chat_template(mts_ctx *ctx, tokenizer *tok, const char *path,
                                                     tokenizer_files *files);

void tokenizer_files_deinit(tokenizer_files *files);

#endif
