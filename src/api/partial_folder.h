/*
 * A folder that is made over several runs: what one leaves when it is stopped, the next one keeps,
 * and the folder appears when all of it is there.
 *
 *   DIR.partial/plan.json    what the folder is made of, and how: JSON
 *   DIR.partial/model/       its files; it becomes DIR
 *
 * Path: mts_quantize, mts_synth -> here -> file_commit_dir.
 * Not done: two processes that make one folder at the same time.
 */
#ifndef MTS_API_PARTIAL_FOLDER_H
#define MTS_API_PARTIAL_FOLDER_H

#include "api/output_folder.h"

struct json_t;

typedef struct partial_folder {
    output_folder folder; /* its temporary is the folder model/ */
    char *place;          /* DIR.partial */
    bool ours;            /* and it is there */
    int64_t kept;         /* files of a former run that are there */
} partial_folder;

/*
 * Begin dir, or go on with it: files whose names end in `ending` are kept if the former run had the
 * same plan; all others are removed.  In every case give *out to partial_folder_close.
 * MTS_ERR_ARGUMENT: dir holds something, or DIR.partial is something else; MTS_ERR_IO,
 * MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status partial_folder_begin(mts_ctx *ctx, const char *dir, const char *ending,
                                              struct json_t *plan, partial_folder *out);
/* Tell the user that a former run's files are kept, if some are.  callbacks may be NULL.
 * MTS_ERR_INTERRUPTED. */
MTS_NODISCARD mts_status partial_folder_note(mts_ctx *ctx, const partial_folder *p,
                                             const mts_callbacks *callbacks);
/* Put it in its place. */
MTS_NODISCARD mts_status partial_folder_commit(mts_ctx *ctx, partial_folder *p);
/* keep: leave what is there to the next run; else it is removed. */
void partial_folder_close(partial_folder *p, bool keep);
/* Whether the same command can go on after this failure. */
bool partial_folder_goes_on(mts_status st);

/* *out: a new JSON array that tells the file from what it was before and will be: its name, bytes
 * and the time of its last change.  MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status partial_folder_describe(mts_ctx *ctx, const char *path,
                                                 struct json_t **out);

#endif
