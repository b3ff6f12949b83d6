/* JSON lines of a run.  See train_log.h. */
#include "train/train_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json_util.h"

static mts_status log_path(const run *r, char **out)
{
    if (r->o->metrics_file != NULL)
        return mem_strdup(r->ctx, out, r->o->metrics_file);
    return path_join(r->ctx, out, r->o->output_dir, "metrics.jsonl");
}

static mts_status append_line(const run *r, const char *line)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *path = NULL;
    FILE *file = NULL;
    bool written = false, closed = false;
    MTS_TRY(log_path(r, &path));
    file = fopen(path, "ae");
    MTS_CHECK(file != NULL, MTS_ERR_IO, "%s: %s", path, strerror(errno));
    written = fprintf(file, "%s\n", line) > 0;
    closed = fclose(file) == 0;
    file = NULL;
    MTS_CHECK(written && closed, MTS_ERR_IO, "%s: %s", path, strerror(errno));
cleanup:
    mem_free(path);
    return st;
}

/* A device or a pipe: it is written to as it is, not replaced by a file. */
static bool is_device(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

mts_status train_log_open(run *r)
{
    mts_status st = MTS_OK;
    char *path = NULL, *line = NULL;
    file_writer *w = NULL;
    bool device = false;
    MTS_TRY(log_path(r, &path));
    device = is_device(path);
    if (!device)
        MTS_TRY(file_writer_open(r->ctx, path, &w));
    for (size_t i = 0; i < json_array_size(r->state.log_history); i++) {
        mem_free(line);
        line = NULL;
        MTS_TRY(json_util_dump(r->ctx, json_array_get(r->state.log_history, i), 0, true, &line));
        if (device) {
            MTS_TRY(append_line(r, line));
            continue;
        }
        MTS_TRY(file_writer_write(w, line, strlen(line)));
        MTS_TRY(file_writer_write(w, "\n", 1));
    }
    if (!device)
        MTS_TRY(file_writer_commit(w));
cleanup:
    file_writer_close(w);
    mem_free(line);
    mem_free(path);
    return st;
}

mts_status train_log_add(run *r, json_t *object)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *line = NULL;
    const double epoch = (double)r->state.global_step / (double)r->steps_per_epoch;
    MTS_CHECK(object != NULL, MTS_ERR_MEMORY, "out of memory: training log");
    MTS_TRY(json_util_set(ctx, object, "epoch", json_real(epoch)));
    MTS_TRY(json_util_set(ctx, object, "step", json_integer(r->state.global_step)));
    MTS_CHECK(json_array_append(r->state.log_history, object) == 0, MTS_ERR_MEMORY,
              "out of memory: training log");
    MTS_TRY(json_util_dump(ctx, object, 0, true, &line));
    MTS_TRY(append_line(r, line));
cleanup:
    mem_free(line);
    json_decref(object);
    return st;
}
