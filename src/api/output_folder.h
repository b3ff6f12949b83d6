/*
 * A folder that appears complete or not at all: files go into "dir.tmp-<pid>" beside it, which is
 * renamed.
 *
 * Path: mts_export, mts_merge, partial_folder -> here -> file_commit_dir.
 */
#ifndef MTS_API_OUTPUT_FOLDER_H
#define MTS_API_OUTPUT_FOLDER_H

#include "base/status.h"

typedef struct output_folder {
    char *dir;       /* without slashes at its end */
    char *temporary; /* exists while the folder is made */
    bool made;
} output_folder;

/* MTS_ERR_ARGUMENT unless dir is not there or is an empty folder.  Nothing is made. */
MTS_NODISCARD mts_status output_folder_check(mts_ctx *ctx, const char *dir);

/* The same, and make out->temporary.  In every case give *out to output_folder_close. */
MTS_NODISCARD mts_status output_folder_begin(mts_ctx *ctx, const char *dir, output_folder *out);
/* Put it in its place. */
MTS_NODISCARD mts_status output_folder_commit(mts_ctx *ctx, output_folder *f);
/* Remove the temporary one, if it was not put in place. */
void output_folder_close(output_folder *f);

/* Copy a file into the folder if `from` has one of that name. */
MTS_NODISCARD mts_status output_folder_copy(mts_ctx *ctx, const output_folder *f, const char *from,
                                            const char *name);

#endif
