/* JSON lines of a run.  See train_log.h. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "train/train_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json_util.h"
#include "train/run.h"

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Written in place: a device or a pipe, what lies below /dev or /proc, a link that leads nowhere.
 */
static bool is_special(const char *path)
{
    struct stat info;
    if (starts_with(path, "/dev/") || starts_with(path, "/proc/"))
        return true;
    if (stat(path, &info) == 0)
        return !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
    return lstat(path, &info) == 0;
}

/* r->log.path: where the lines go; of a link to a file that file, so that the link stays. */
static mts_status find_path(run *r)
{
    char real[PATH_MAX];
    const char *given = r->o->metrics_file;
    if (given == NULL)
        return path_join(r->ctx, &r->log.path, r->o->output_dir, "metrics.jsonl");
    const bool found = realpath(given, real) != NULL; /* or there is no such file yet */
    r->log.special = is_special(given) || (found && is_special(real));
    return mem_strdup(r->ctx, &r->log.path, found && !r->log.special ? real : given);
}

/* The descriptor of standard output or error under one of its names, or -1. */
static int standard_descriptor(const char *path)
{
    static const char *const names[2][3] = {{"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"},
                                            {"/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"}};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++)
            if (strcmp(path, names[i][k]) == 0)
                return i == 0 ? STDOUT_FILENO : STDERR_FILENO;
    return -1;
}

/* r->log.fd.  Standard output and error share their place in a file with this process. */
static mts_status open_special(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const int standard = standard_descriptor(r->log.path);
    r->log.fd = standard >= 0
                    ? dup(standard)
                    : open(r->log.path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    r->log.open = r->log.fd >= 0;
    MTS_CHECK(r->log.open, MTS_ERR_IO, "%s: %s", r->log.path, strerror(errno));
cleanup:
    return st;
}

/* write(2) until all is taken.  False: errno says why. */
static bool write_fully(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = write(fd, text, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        text += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* As write_fully, but a pipe without a reader gives EPIPE and no signal: that would end the
 * process, which is not a library's to decide. */
static bool write_without_signal(int fd, const char *text, size_t bytes)
{
    const struct timespec now = {0};
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    const bool written = write_fully(fd, text, bytes);
    const int code = errno;
    if (!written && code == EPIPE && sigismember(&pending, SIGPIPE) == 0)
        sigtimedwait(&pipe, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = code;
    return written;
}

/* A reader that has gone ends its log, not the training: all lines are in trainer_state.json. */
static mts_status write_special(run *r, const char *text)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    if (!r->log.open || write_without_signal(r->log.fd, text, strlen(text)))
        return MTS_OK;
    MTS_CHECK(errno == EPIPE, MTS_ERR_IO, "%s: %s", r->log.path, strerror(errno));
    train_log_close(r);
    run_note(r, "%s: nobody reads it any more; training goes on without it", r->o->metrics_file);
cleanup:
    return st;
}

/* A full disk ends the log, not the training: the model may still fit, and all lines are in
 * trainer_state.json.  Lines that cannot be written are missing; the first is told. */
static void append_to_file(run *r, const char *text)
{
    FILE *file = fopen(r->log.path, "ae");
    const bool written = file != NULL && fputs(text, file) >= 0;
    const bool closed = file != NULL && fclose(file) == 0;
    if (!(written && closed) && !r->log.failed)
        run_note(r, "%s: %s; training goes on without it", r->log.path, strerror(errno));
    r->log.failed = !(written && closed);
}

/* *out: the object on one line, with its end. */
static mts_status dump_line(mts_ctx *ctx, const json_t *object, char **out)
{
    mts_status st = MTS_OK;
    size_t n = 0;
    MTS_TRY(json_util_dump(ctx, object, 0, true, out));
    n = strlen(*out);
    MTS_TRY(mem_grow(ctx, out, n + 1, n + 2, 1, "training log"));
    (*out)[n] = '\n';
cleanup:
    return st;
}

mts_status train_log_open(run *r)
{
    mts_status st = MTS_OK;
    char *line = NULL;
    file_writer *w = NULL;
    MTS_TRY(find_path(r));
    if (r->log.special)
        MTS_TRY(open_special(r));
    else
        MTS_TRY(file_writer_open(r->ctx, r->log.path, &w));
    for (size_t i = 0; i < json_array_size(r->state.log_history); i++) {
        mem_free(line);
        line = NULL;
        MTS_TRY(dump_line(r->ctx, json_array_get(r->state.log_history, i), &line));
        if (r->log.special)
            MTS_TRY(write_special(r, line));
        else
            MTS_TRY(file_writer_write(w, line, strlen(line)));
    }
    if (!r->log.special)
        MTS_TRY(file_writer_commit(w));
cleanup:
    file_writer_close(w);
    mem_free(line);
    return st;
}

void train_log_close(run *r)
{
    if (r->log.open)
        close(r->log.fd);
    r->log.open = false;
}

/* *out: a copy of an object, with the present step and epoch. */
static mts_status stamp(const run *r, const json_t *values, json_t **out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    json_t *object = json_copy((json_t *)(uintptr_t)values); /* shallow: nobody changes the rest */
    MTS_CHECK(object != NULL, MTS_ERR_MEMORY, "out of memory: training log");
    MTS_TRY(json_util_set(ctx, object, "epoch", json_real(run_epoch(r))));
    MTS_TRY(json_util_set(ctx, object, "step", json_integer(r->state.global_step)));
    *out = json_incref(object);
cleanup:
    json_decref(object);
    return st;
}

/* A line of the metrics file. */
static mts_status write_line(run *r, const json_t *object)
{
    mts_status st = MTS_OK;
    char *line = NULL;
    MTS_TRY(dump_line(r->ctx, object, &line));
    if (r->log.special)
        MTS_TRY(write_special(r, line));
    else
        append_to_file(r, line);
cleanup:
    mem_free(line);
    return st;
}

mts_status train_log_add(run *r, const json_t *values)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    json_t *object = NULL;
    MTS_TRY(stamp(r, values, &object));
    MTS_CHECK(json_array_append(r->state.log_history, object) == 0, MTS_ERR_MEMORY,
              "out of memory: training log");
    MTS_TRY(write_line(r, object));
cleanup:
    json_decref(object);
    return st;
}

mts_status train_log_show(run *r, const json_t *values)
{
    mts_status st = MTS_OK;
    json_t *object = NULL;
    MTS_TRY(stamp(r, values, &object));
    MTS_TRY(write_line(r, object));
cleanup:
    json_decref(object);
    return st;
}
