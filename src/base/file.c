/*
 * Files and folders.  See file.h.
 *
 * Trees are walked by folder descriptors (openat with O_NOFOLLOW), so that a link put in the way
 * between look and touch cannot lead a removal out of the tree.
 */
#define _DEFAULT_SOURCE /* madvise */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

enum { LFS_POINTER_BYTES = 1024 }; /* by its specification, a pointer is smaller */

enum {
    WRITE_BUFFER_BYTES = 1 << 16,
    CALL_BYTES = 1 << 30, /* Linux moves at most 2^31 - 4096 bytes in one call */
    TREE_DEPTH_MAX = 32,
    PID_SUFFIX_BYTES = 32,
};

struct file_writer {
    mts_ctx *ctx;
    char *path, *tmp;
    uint8_t *buffer;
    size_t used;
    uint64_t bytes; /* given so far */
    int fd;         /* -1: closed */
    bool tmp_made;  /* tmp exists and is ours to remove */
    bool failed;
};

/* MTS_OK if ok; else the status and text of errno: "path: cannot <action>: <reason>". */
static mts_status os_check(mts_ctx *ctx, bool ok, const char *action, const char *path)
{
    if (ok)
        return MTS_OK;
    int code = errno;
    char reason[128];
    if (strerror_r(code, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "error %d", code);
    mts_status status = MTS_ERR_IO;
    if (code == ENOENT || code == ENOTDIR)
        status = MTS_ERR_NOT_FOUND;
    else if (code == ENOMEM)
        status = MTS_ERR_MEMORY;
    return status_set(ctx, status, "%s: cannot %s: %s", path, action, reason);
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* *fd: path opened for reading, a regular file of *bytes.  O_NONBLOCK: a pipe must not hang us. */
static mts_status open_regular(mts_ctx *ctx, const char *path, int *fd, size_t *bytes)
{
    mts_status st = MTS_OK;
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    MTS_TRY(os_check(ctx, *fd >= 0, "open", path));
    MTS_TRY(os_check(ctx, fstat(*fd, &info) == 0, "stat", path));
    MTS_CHECK(S_ISREG(info.st_mode), MTS_ERR_IO, "%s: expected a regular file, found %s", path,
              S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    *bytes = (size_t)info.st_size;
    MTS_CHECK(info.st_size >= 0 && (off_t)*bytes == info.st_size, MTS_ERR_UNSUPPORTED,
              "%s: file of %lld bytes does not fit this machine's address space", path,
              (long long)info.st_size);
cleanup:
    if (st != MTS_OK) {
        close_fd(*fd);
        *fd = -1;
    }
    return st;
}

/* What a clone without Git LFS has in the place of a large file: a few lines that name it. */
static mts_status refuse_lfs_pointer(mts_ctx *ctx, const char *path, int fd)
{
    static const char start[] = "version https://git-lfs.github.com/spec/";
    char text[LFS_POINTER_BYTES + 1] = "", size[24] = "";
    const ssize_t n = pread(fd, text, LFS_POINTER_BYTES, 0);
    if (n < (ssize_t)sizeof start || memcmp(text, start, sizeof start - 1) != 0)
        return MTS_OK;
    const char *line = strstr(text, "\nsize ");
    if (line != NULL)
        snprintf(size, sizeof size, "%.*s", (int)strspn(line + 6, "0123456789"), line + 6);
    return status_set(ctx, MTS_ERR_BAD_FILE,
                      "%s: this is a Git LFS pointer, not the file itself%s%s%s: get it with 'git "
                      "lfs pull', or download it",
                      path, size[0] != '\0' ? " of " : "", size, size[0] != '\0' ? " bytes" : "");
}

mts_status file_reader_open(mts_ctx *ctx, const char *path, file_reader *r)
{
    mts_status st = MTS_OK;
    int fd = -1;
    size_t bytes = 0;
    *r = (file_reader){0};
    MTS_TRY(open_regular(ctx, path, &fd, &bytes));
    if (bytes <= LFS_POINTER_BYTES)
        MTS_TRY(refuse_lfs_pointer(ctx, path, fd));
    *r = (file_reader){path, bytes, fd};
cleanup:
    if (st != MTS_OK)
        close_fd(fd);
    return st;
}

void file_reader_close(file_reader *r)
{
    if (r->path != NULL)
        close_fd(r->fd);
    *r = (file_reader){0};
}

mts_status file_reader_read(mts_ctx *ctx, const file_reader *r, uint64_t from, void *out,
                            size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        const size_t want = bytes - done < CALL_BYTES ? bytes - done : CALL_BYTES;
        const ssize_t n = pread(r->fd, (char *)out + done, want, (off_t)(from + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return os_check(ctx, false, "read", r->path);
        if (n == 0)
            return status_set(ctx, MTS_ERR_IO,
                              "%s: was cut while it was read: expected %zu bytes, found %llu",
                              r->path, r->bytes, (unsigned long long)(from + done));
        done += (size_t)n;
    }
    return MTS_OK;
}

mts_status file_reader_map(mts_ctx *ctx, const file_reader *r, uint64_t from, size_t bytes,
                           file_map *map)
{
    mts_status st = MTS_OK;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), before = (size_t)(from % page);
    void *pages = NULL;
    *map = (file_map){0};
    MTS_CHECK(from <= r->bytes && bytes <= r->bytes - from, MTS_ERR_IO,
              "%s: was cut while it was read: expected %llu bytes, found %zu", r->path,
              (unsigned long long)(from + bytes), r->bytes);
    pages = mmap(NULL, before + bytes, PROT_READ, MAP_SHARED, r->fd, (off_t)(from - before));
    MTS_TRY(os_check(ctx, pages != MAP_FAILED, "map", r->path));
    *map = (file_map){(const uint8_t *)pages + before, pages, before + bytes};
cleanup:
    return st;
}

void file_map_want(const file_map *map)
{
    if (map->pages != NULL)
        (void)madvise(map->pages, map->length, MADV_WILLNEED);
}

void file_map_forget(const file_map *map)
{
    if (map->pages != NULL)
        (void)madvise(map->pages, map->length, MADV_DONTNEED);
}

void file_map_close(file_map *map)
{
    if (map->pages != NULL)
        (void)munmap(map->pages, map->length);
    *map = (file_map){0};
}

mts_status file_read_all(mts_ctx *ctx, const char *path, size_t limit, char **out, size_t *bytes)
{
    mts_status st = MTS_OK;
    file_reader r;
    size_t n = 0;
    char *data = NULL;
    *out = NULL;
    MTS_TRY(file_reader_open(ctx, path, &r));
    n = r.bytes;
    MTS_CHECK(n <= limit && n < SIZE_MAX, MTS_ERR_BAD_FILE,
              "%s: file has %zu bytes, expected at most %zu", path, n, limit);
    MTS_TRY(mem_calloc(ctx, &data, n + 1, 1, path));
    MTS_TRY(file_reader_read(ctx, &r, 0, data, n));
    *out = data;
    data = NULL;
    if (bytes != NULL)
        *bytes = n;
cleanup:
    mem_free(data);
    file_reader_close(&r);
    return st;
}

bool file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool dir_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool file_is_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

mts_status path_join(mts_ctx *ctx, char **out, const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    mts_status st = mem_calloc(ctx, out, na + nb + 2, 1, "path");
    if (st != MTS_OK)
        return st;
    memcpy(*out, a, na);
    if (na > 0 && a[na - 1] != '/')
        (*out)[na++] = '/';
    memcpy(*out + na, b, nb + 1);
    return MTS_OK;
}

mts_status path_parent(mts_ctx *ctx, char **out, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return mem_strdup(ctx, out, ".");
    return mem_strndup(ctx, out, path, slash == path ? 1 : (size_t)(slash - path));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The next entry that is not "." or "..", or NULL; *failed: NULL because readdir failed (errno). */
static const char *next_entry(DIR *dir, bool *failed)
{
    const struct dirent *entry = NULL;
    do {
        errno = 0;
        entry = readdir(dir);
    } while (entry != NULL &&
             (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    *failed = entry == NULL && errno != 0;
    return entry == NULL ? NULL : entry->d_name;
}

mts_status file_list_dir(mts_ctx *ctx, const char *path, file_list *list)
{
    mts_status st = MTS_OK;
    const char *name = NULL;
    bool failed = false;
    size_t capacity = 0;
    *list = (file_list){0};
    DIR *dir = opendir(path);
    MTS_TRY(os_check(ctx, dir != NULL, "list", path));
    while ((name = next_entry(dir, &failed)) != NULL) {
        if (list->count == capacity) {
            size_t larger = capacity == 0 ? 16 : 2 * capacity;
            MTS_TRY(mem_grow(ctx, &list->names, capacity, larger, sizeof *list->names,
                             "names of a folder"));
            capacity = larger;
        }
        MTS_TRY(mem_strdup(ctx, &list->names[list->count], name));
        list->count++;
    }
    MTS_TRY(os_check(ctx, !failed, "list", path));
    if (list->count > 1)
        qsort(list->names, list->count, sizeof *list->names, compare_names);
cleanup:
    if (dir != NULL)
        closedir(dir);
    if (st != MTS_OK)
        file_list_deinit(list);
    return st;
}

void file_list_deinit(file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->names[i]);
    mem_free(list->names);
    *list = (file_list){0};
}

/* ------------------------------------------------------------------------------ writing ---- */

/* mkdir; "exists" is fine, whether it is a folder the caller finds out at the end. */
static mts_status make_dir(mts_ctx *ctx, const char *path)
{
    return os_check(ctx, mkdir(path, 0777) == 0 || errno == EEXIST, "make folder", path);
}

mts_status file_make_dirs(mts_ctx *ctx, const char *path)
{
    mts_status st = MTS_OK;
    char *part = NULL;
    MTS_TRY(mem_strdup(ctx, &part, path));
    for (size_t i = 1; part[0] != '\0' && part[i] != '\0'; i++) {
        if (part[i] != '/' || part[i - 1] == '/')
            continue;
        part[i] = '\0';
        MTS_TRY(make_dir(ctx, part));
        part[i] = '/';
    }
    MTS_TRY(make_dir(ctx, path));
    MTS_CHECK(dir_exists(path), MTS_ERR_IO, "%s: expected a folder, found something else", path);
cleanup:
    mem_free(part);
    return st;
}

/* fsync; a folder on a file system that cannot sync folders (EINVAL) is let pass. */
static mts_status sync_fd(mts_ctx *ctx, int fd, bool is_dir, const char *path)
{
    int rc = 0;
    do {
        rc = fsync(fd);
    } while (rc != 0 && errno == EINTR);
    return os_check(ctx, rc == 0 || (is_dir && errno == EINVAL), "sync", path);
}

static mts_status open_dir(mts_ctx *ctx, const char *path, int *fd)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return os_check(ctx, *fd >= 0, "open", path);
}

mts_status file_sync_dir(mts_ctx *ctx, const char *dir)
{
    mts_status st = MTS_OK;
    int fd = -1;
    MTS_TRY(open_dir(ctx, dir, &fd));
    MTS_TRY(sync_fd(ctx, fd, true, dir));
cleanup:
    close_fd(fd);
    return st;
}

/* fsync the folder that holds path. */
static mts_status sync_parent(mts_ctx *ctx, const char *path)
{
    char *parent = NULL;
    mts_status st = path_parent(ctx, &parent, path);
    if (st == MTS_OK)
        st = file_sync_dir(ctx, parent);
    mem_free(parent);
    return st;
}

/* *out: "path<tag><pid>". */
static mts_status with_pid(mts_ctx *ctx, char **out, const char *path, const char *tag)
{
    size_t bytes = strlen(path) + strlen(tag) + PID_SUFFIX_BYTES;
    mts_status st = mem_calloc(ctx, out, bytes, 1, "path");
    if (st == MTS_OK)
        snprintf(*out, bytes, "%s%s%ld", path, tag, (long)getpid());
    return st;
}

mts_status file_writer_open(mts_ctx *ctx, const char *path, file_writer **out)
{
    mts_status st = MTS_OK;
    file_writer *w = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &w, 1, sizeof *w, "file writer"));
    w->ctx = ctx;
    w->fd = -1;
    MTS_TRY(mem_strdup(ctx, &w->path, path));
    MTS_TRY(with_pid(ctx, &w->tmp, path, ".tmp-"));
    MTS_TRY(mem_calloc(ctx, &w->buffer, WRITE_BUFFER_BYTES, 1, "file buffer"));
    if (unlink(w->tmp) != 0) /* left by a crashed process that had our number */
        MTS_TRY(os_check(ctx, errno == ENOENT, "remove", w->tmp));
    w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    MTS_TRY(os_check(ctx, w->fd >= 0, "create", w->tmp));
    w->tmp_made = true;
    *out = w;
    w = NULL;
cleanup:
    file_writer_close(w);
    return st;
}

/* write(2) until all is taken.  A partial write is followed by the one that tells the reason. */
static mts_status write_fully(file_writer *w, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(w->fd, data, bytes < CALL_BYTES ? bytes : CALL_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            w->failed = true;
            return os_check(w->ctx, false, "write", w->path);
        }
        data += n;
        bytes -= (size_t)n;
    }
    return MTS_OK;
}

static mts_status flush_buffer(file_writer *w)
{
    size_t used = w->used;
    w->used = 0;
    return write_fully(w, w->buffer, used);
}

mts_status file_writer_write(file_writer *w, const void *data, size_t bytes)
{
    mts_status st = MTS_OK;
    w->bytes += bytes;
    if (bytes > WRITE_BUFFER_BYTES - w->used)
        MTS_TRY(flush_buffer(w));
    if (bytes > WRITE_BUFFER_BYTES) {
        MTS_TRY(write_fully(w, data, bytes));
    } else if (bytes > 0) {
        memcpy(w->buffer + w->used, data, bytes);
        w->used += bytes;
    }
cleanup:
    return st;
}

uint64_t file_writer_bytes(const file_writer *w)
{
    return w->bytes;
}

mts_status file_writer_commit(file_writer *w)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    int fd = w->fd;
    MTS_CHECK(!w->failed && fd >= 0, MTS_ERR_IO, "%s: cannot commit: a write failed before",
              w->path);
    MTS_TRY(flush_buffer(w));
    MTS_TRY(sync_fd(ctx, fd, false, w->path));
    w->fd = -1;
    MTS_TRY(os_check(ctx, close(fd) == 0, "close", w->path));
    MTS_TRY(os_check(ctx, rename(w->tmp, w->path) == 0, "put in place", w->path));
    w->tmp_made = false;
    MTS_TRY(sync_parent(ctx, w->path));
cleanup:
    return st;
}

void file_writer_close(file_writer *w)
{
    if (w == NULL)
        return;
    close_fd(w->fd);
    if (w->tmp_made)
        unlink(w->tmp);
    mem_free(w->path);
    mem_free(w->tmp);
    mem_free(w->buffer);
    mem_free(w);
}

mts_status file_move(mts_ctx *ctx, const char *from_dir, const char *from_name, const char *to_dir,
                     const char *to_name)
{
    mts_status st = MTS_OK;
    int from = -1, to = -1;
    MTS_TRY(open_dir(ctx, from_dir, &from));
    MTS_TRY(open_dir(ctx, to_dir, &to));
    MTS_TRY(os_check(ctx, renameat(from, from_name, to, to_name) == 0, "put in place", to_name));
cleanup:
    if (st != MTS_OK && to >= 0)
        status_prefix(ctx, "%s", to_dir);
    close_fd(from);
    close_fd(to);
    return st;
}

mts_status file_remove(mts_ctx *ctx, const char *dir, const char *name)
{
    mts_status st = MTS_OK;
    int fd = -1;
    MTS_TRY(open_dir(ctx, dir, &fd));
    st = os_check(ctx, unlinkat(fd, name, 0) == 0 || errno == ENOENT, "remove", name);
    if (st != MTS_OK)
        status_prefix(ctx, "%s", dir);
cleanup:
    close_fd(fd);
    return st;
}

/* -------------------------------------------------------------------------------- trees ---- */

typedef enum tree_action {
    TREE_CHECK, /* only plain files and folders? */
    TREE_SYNC,
    TREE_REMOVE,
} tree_action;

typedef struct tree_walk {
    mts_ctx *ctx;
    tree_action action;
    bool touched; /* something was removed */
} tree_walk;

/* Apply walk->action to the plain file `name` in folder fd; shown is for the error text. */
static mts_status visit_file(tree_walk *walk, int fd, const char *name, const char *shown)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = walk->ctx;
    int file = -1;
    if (walk->action == TREE_REMOVE) {
        MTS_TRY(os_check(ctx, unlinkat(fd, name, 0) == 0, "remove", shown));
        walk->touched = true;
    }
    if (walk->action == TREE_SYNC) {
        file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        MTS_TRY(os_check(ctx, file >= 0, "open", shown));
        MTS_TRY(sync_fd(ctx, file, false, shown));
    }
cleanup:
    close_fd(file);
    return st;
}

/* Apply walk->action to folder `name` in folder `parent`, children first.  shown: its path, for
 * texts. */
static mts_status visit_tree(tree_walk *walk, int parent, const char *name, const char *shown,
                             int depth)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = walk->ctx;
    DIR *dir = NULL;
    char *child = NULL;
    const char *entry = NULL;
    bool failed = false;
    struct stat info;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    MTS_TRY(os_check(ctx, fd >= 0, "open folder", shown));
    dir = fdopendir(fd);
    MTS_TRY(os_check(ctx, dir != NULL, "list", shown));
    while ((entry = next_entry(dir, &failed)) != NULL) {
        mem_free(child);
        child = NULL;
        MTS_TRY(path_join(ctx, &child, shown, entry));
        MTS_TRY(os_check(ctx, fstatat(fd, entry, &info, AT_SYMLINK_NOFOLLOW) == 0, "stat", child));
        MTS_CHECK(S_ISREG(info.st_mode) || S_ISDIR(info.st_mode), MTS_ERR_UNSUPPORTED,
                  "%s: expected a plain file or folder, found %s; left alone", child,
                  S_ISLNK(info.st_mode) ? "a symbolic link" : "a device or pipe");
        MTS_CHECK(depth < TREE_DEPTH_MAX, MTS_ERR_UNSUPPORTED,
                  "%s: expected at most %d folders in each other; left alone", child,
                  TREE_DEPTH_MAX);
        if (S_ISDIR(info.st_mode))
            MTS_TRY(visit_tree(walk, fd, entry, child, depth + 1));
        else
            MTS_TRY(visit_file(walk, fd, entry, child));
    }
    MTS_TRY(os_check(ctx, !failed, "list", shown));
    if (walk->action == TREE_SYNC)
        MTS_TRY(sync_fd(ctx, fd, true, shown));
    if (walk->action == TREE_REMOVE) {
        MTS_TRY(os_check(ctx, unlinkat(parent, name, AT_REMOVEDIR) == 0, "remove", shown));
        walk->touched = true;
    }
cleanup:
    mem_free(child);
    if (dir != NULL)
        closedir(dir); /* closes fd */
    else
        close_fd(fd);
    return st;
}

/* Apply action to the folder path and all in it; *touched (may be NULL): something was removed. */
static mts_status walk_tree(mts_ctx *ctx, const char *path, tree_action action, bool *touched)
{
    tree_walk walk = {.ctx = ctx, .action = action};
    const mts_status st = visit_tree(&walk, AT_FDCWD, path, path, 0);
    if (touched != NULL)
        *touched = walk.touched;
    return st;
}

/* *out: path without slashes at its end ("link/" would follow the link). */
static mts_status strip_slashes(mts_ctx *ctx, char **out, const char *path)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    return mem_strndup(ctx, out, path, n);
}

/* *found: something is at path.  It must be a real folder. */
static mts_status find_folder(mts_ctx *ctx, const char *path, bool *found)
{
    mts_status st = MTS_OK;
    struct stat info;
    *found = lstat(path, &info) == 0;
    if (!*found)
        MTS_TRY(os_check(ctx, errno == ENOENT, "stat", path));
    else
        MTS_CHECK(S_ISDIR(info.st_mode), MTS_ERR_UNSUPPORTED,
                  "%s: expected a folder, found something else; left alone", path);
cleanup:
    return st;
}

mts_status file_remove_tree(mts_ctx *ctx, const char *path)
{
    bool ignored;
    return file_try_remove_tree(ctx, path, &ignored);
}

mts_status file_try_remove_tree(mts_ctx *ctx, const char *path, bool *touched)
{
    mts_status st = MTS_OK;
    char *plain = NULL;
    const char *last = NULL;
    bool found = false;
    *touched = false;
    MTS_TRY(strip_slashes(ctx, &plain, path));
    last = strrchr(plain, '/');
    last = last == NULL ? plain : last + 1;
    MTS_CHECK(last[0] != '\0' && strcmp(last, ".") != 0 && strcmp(last, "..") != 0,
              MTS_ERR_ARGUMENT, "\"%s\": refused to remove this folder", path);
    MTS_TRY(find_folder(ctx, plain, &found));
    if (found) {
        MTS_TRY(walk_tree(ctx, plain, TREE_CHECK, NULL));
        MTS_TRY(walk_tree(ctx, plain, TREE_REMOVE, touched));
    }
cleanup:
    mem_free(plain);
    return st;
}

mts_status file_commit_dir(mts_ctx *ctx, const char *tmp_dir, const char *final_dir)
{
    mts_status st = MTS_OK;
    char *tmp = NULL, *final = NULL, *old = NULL;
    bool found = false;
    MTS_TRY(strip_slashes(ctx, &tmp, tmp_dir));
    MTS_TRY(strip_slashes(ctx, &final, final_dir));
    MTS_TRY(with_pid(ctx, &old, final, ".old-"));
    MTS_TRY(find_folder(ctx, tmp, &found));
    MTS_TRY(walk_tree(ctx, tmp, TREE_SYNC, NULL));
    MTS_TRY(find_folder(ctx, final, &found));
    if (found) {
        MTS_TRY(walk_tree(ctx, final, TREE_CHECK, NULL));
        MTS_TRY(file_remove_tree(ctx, old));
        MTS_TRY(os_check(ctx, rename(final, old) == 0, "rename", final));
    }
    if (rename(tmp, final) != 0) {
        st = os_check(ctx, false, "put in place", final);
        if (found && rename(old, final) != 0)
            status_prefix(ctx, "the former folder is now %s", old);
        goto cleanup;
    }
    MTS_TRY(sync_parent(ctx, final));
    if (found)
        MTS_TRY(file_remove_tree(ctx, old));
cleanup:
    mem_free(tmp);
    mem_free(final);
    mem_free(old);
    return st;
}
