/*
 * Files and folders: reading in pieces and whole, listing, and writes that are complete or absent.
 *
 * Path: base; used by io (safetensors, JSON), text, data and train (checkpoints).  Every operation
 * is checked down to close(); an error text holds the path and the operating system's reason.
 * Status of a refused system call: MTS_ERR_NOT_FOUND (ENOENT, ENOTDIR), MTS_ERR_MEMORY (ENOMEM),
 * MTS_ERR_IO (all others).  Any function here that takes ctx may also return MTS_ERR_MEMORY.
 * Not done: locking between processes, preserving modes or times.
 */
#ifndef MTS_BASE_FILE_H
#define MTS_BASE_FILE_H

#include "base/status.h"

/* ------------------------------------------------------------------------------ reading ---- */

/* A file that is read in pieces.  It is not mapped: a file that others shorten while it is open
 * gives an error here, where an access to a mapping would fault. */
typedef struct file_reader {
    const char *path; /* borrowed; NULL: not open */
    size_t bytes;     /* of the file when it was opened */
    int fd;
} file_reader;

/* Open the regular file path (no device, pipe or folder: MTS_ERR_IO; no pointer that Git LFS left
 * in its place: MTS_ERR_BAD_FILE). */
MTS_NODISCARD mts_status file_reader_open(mts_ctx *ctx, const char *path, file_reader *r);
/* out[bytes]: those from byte `from` on.  MTS_ERR_IO: the file has become shorter, among others.
 * Threads: one reader may be used by many, each with a context of its own. */
MTS_NODISCARD mts_status file_reader_read(mts_ctx *ctx, const file_reader *r, uint64_t from,
                                          void *out, size_t bytes);
/* Close; a zeroed or closed reader is allowed. */
void file_reader_close(file_reader *r);

/*
 * Part of a file as memory that is never written: pages come from the file when they are touched,
 * and the system may drop them again.  For what is too large to be copied: an access faults if
 * others shorten the file.
 */
typedef struct file_map {
    const uint8_t *data; /* NULL: nothing is mapped */
    void *pages;         /* the whole pages around it */
    size_t length;       /* of pages, in bytes */
} file_map;

/* *map: bytes [from, from + bytes) of the file, which may be closed afterwards; bytes > 0.
 * MTS_ERR_IO: they are not there, among others. */
MTS_NODISCARD mts_status file_reader_map(mts_ctx *ctx, const file_reader *r, uint64_t from,
                                         size_t bytes, file_map *map);
/* Its pages will be read soon: the system begins to, where they are not in memory. */
void file_map_want(const file_map *map);
/* Its pages need no memory until they are touched again. */
void file_map_forget(const file_map *map);
/* A zeroed or closed map is allowed. */
void file_map_close(file_map *map);

/*
 * *out: the bytes of a regular file with a NUL behind them; free with mem_free.  *bytes (may be
 * NULL): without that NUL.  A file larger than limit bytes is MTS_ERR_BAD_FILE.
 */
MTS_NODISCARD mts_status file_read_all(mts_ctx *ctx, const char *path, size_t limit, char **out,
                                       size_t *bytes);

/* Whether path is a regular file / a folder (links followed); false when it cannot be asked. */
bool file_exists(const char *path);
bool dir_exists(const char *path);
/* Whether two paths lead to one file or folder; false when it cannot be asked. */
bool file_is_same(const char *a, const char *b);

/* Names in a folder, without "." and "..", in ascending byte order. */
typedef struct file_list {
    char **names;
    size_t count;
} file_list;

MTS_NODISCARD mts_status file_list_dir(mts_ctx *ctx, const char *path, file_list *list);
void file_list_deinit(file_list *list);

/* *out: a, "/" unless a is empty or ends in one, b; free with mem_free. */
MTS_NODISCARD mts_status path_join(mts_ctx *ctx, char **out, const char *a, const char *b);
/* *out: the folder that path is in, "." if it names none; free with mem_free. */
MTS_NODISCARD mts_status path_parent(mts_ctx *ctx, char **out, const char *path);

/* ------------------------------------------------------------------------------ writing ---- */

/* Create folder path and those above it that are missing; an existing folder is MTS_OK. */
MTS_NODISCARD mts_status file_make_dirs(mts_ctx *ctx, const char *path);

/*
 * A file that appears complete or not at all: bytes go to "path.tmp-<pid>"; commit flushes, fsyncs,
 * renames it to path and fsyncs the folder.  ctx is borrowed until close.
 */
typedef struct file_writer file_writer;

MTS_NODISCARD mts_status file_writer_open(mts_ctx *ctx, const char *path, file_writer **out);
/* Append bytes.  MTS_ERR_IO: nothing more can be written, and commit will refuse. */
MTS_NODISCARD mts_status file_writer_write(file_writer *w, const void *data, size_t bytes);
/* Bytes that were given to w so far. */
uint64_t file_writer_bytes(const file_writer *w);
/* Once, after the last write.  On failure path is as it was before. */
MTS_NODISCARD mts_status file_writer_commit(file_writer *w);
/* Free w; if it was not committed, remove the temporary.  NULL is allowed. */
void file_writer_close(file_writer *w);

/* Move a file between folders of a file system, replacing one there; remove a file or link, if it
 * exists.  Lasting after file_sync_dir of the folder.  None of these needs memory. */
MTS_NODISCARD mts_status file_move(mts_ctx *ctx, const char *from_dir, const char *from_name,
                                   const char *to_dir, const char *to_name);
MTS_NODISCARD mts_status file_remove(mts_ctx *ctx, const char *dir, const char *name);
MTS_NODISCARD mts_status file_sync_dir(mts_ctx *ctx, const char *dir);

/*
 * Make the folder tmp_dir the folder final_dir (same file system): fsync every file and folder in
 * tmp_dir, rename.  An existing final_dir is first renamed to "final_dir.old-<pid>", put back if
 * the second rename fails, and removed at the end; a crash between the two renames leaves it under
 * that name.  MTS_ERR_UNSUPPORTED: one of the folders holds, or is, something other than plain
 * files and folders; nothing was changed.
 */
MTS_NODISCARD mts_status file_commit_dir(mts_ctx *ctx, const char *tmp_dir, const char *final_dir);

/*
 * Remove a folder we made, with all in it; one that does not exist is MTS_OK.  Never follows a
 * symbolic link; if path is one, or holds anything but plain files and folders, nothing is removed:
 * MTS_ERR_UNSUPPORTED.  MTS_ERR_ARGUMENT: path ends in ".", ".." or is a root.
 */
MTS_NODISCARD mts_status file_remove_tree(mts_ctx *ctx, const char *path);
/* The same; *touched: something was removed, which is of interest after a failure. */
MTS_NODISCARD mts_status file_try_remove_tree(mts_ctx *ctx, const char *path, bool *touched);

#endif
