/* Names of the files of a run, and what may be done to them.  See output_files.h. */
#include "train/output_files.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "io/peft.h"
#include "network/network_io.h"
#include "train/rank_plot.h"

static const char log_name[] = "metrics.jsonl";

static const char *const model_names[] = {
    "config.json", "model.safetensors",    PEFT_CONFIG,
    PEFT_WEIGHTS,  NETWORK_ADAPTER_CONFIG, "trainer_state.json"};

static const char *const result_names[] = {"train_results.json", "eval_results.json",
                                           "all_results.json", RANK_PLOT_FILE, log_name};

enum {
    MODEL_NAMES = sizeof model_names / sizeof model_names[0],
    RESULT_NAMES = sizeof result_names / sizeof result_names[0],
};

/* Names of results, those of every task's own among them; NULL behind the last. */
static const char *result_at(int index)
{
    if (index < RESULT_NAMES)
        return result_names[index];
    index -= RESULT_NAMES;
    for (int c = 0; task_class_at(c) != NULL; c++) {
        for (int i = 0; task_class_at(c)->result_files[i] != NULL; i++) {
            if (index-- == 0)
                return task_class_at(c)->result_files[i];
        }
    }
    return NULL;
}

/* The names of all files one after the other; NULL behind the last. */
static const char *name_at(int index)
{
    int tokenizer_count;
    const char *const *tokenizer_names = tokenizer_file_names(&tokenizer_count);
    if (index < MODEL_NAMES)
        return model_names[index];
    index -= MODEL_NAMES;
    if (index < tokenizer_count)
        return tokenizer_names[index];
    return result_at(index - tokenizer_count);
}

bool output_files_has_name(const char *name)
{
    for (int i = 0; name_at(i) != NULL; i++)
        if (strcmp(name_at(i), name) == 0)
            return true;
    return false;
}

/* *found: something is at dir/name, and it is not an empty file. */
static mts_status look_at(mts_ctx *ctx, const char *dir, const char *name, bool *found)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    struct stat info;
    MTS_TRY(path_join(ctx, &path, dir, name));
    MTS_CHECK(!dir_exists(path), MTS_ERR_ARGUMENT,
              "%s: expected nothing or a file, found a folder: give another --output_dir", path);
    *found = lstat(path, &info) == 0 && !(S_ISREG(info.st_mode) && info.st_size == 0);
cleanup:
    mem_free(path);
    return st;
}

mts_status output_files_find(mts_ctx *ctx, const char *dir, const char **found)
{
    static const char shards[] = "model.safetensors.index.json"; /* readers take it for a model */
    mts_status st = MTS_OK;
    bool there;
    *found = NULL;
    for (int i = 0; name_at(i) != NULL; i++) {
        MTS_TRY(look_at(ctx, dir, name_at(i), &there));
        if (there && *found == NULL)
            *found = name_at(i);
    }
    MTS_TRY(look_at(ctx, dir, shards, &there));
    if (there && *found == NULL)
        *found = shards;
cleanup:
    return st;
}

mts_status output_files_forget_results(mts_ctx *ctx, const char *dir)
{
    mts_status st = MTS_OK;
    for (int i = 0; result_at(i) != NULL; i++)
        MTS_TRY(file_remove(ctx, dir, result_at(i)));
cleanup:
    return st;
}

/* ------------------------------------------------------------------- what must not be lost ---- */

/* A data file is neither written over nor removed with the results of a former run. */
static mts_status check_data_file(const run *r, const char *input)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *path = NULL;
    MTS_CHECK(r->o->metrics_file == NULL || !file_is_same(r->o->metrics_file, input),
              MTS_ERR_ARGUMENT, "option --metrics_file: %s is read by this run: give another file",
              input);
    for (int i = 0; name_at(i) != NULL; i++) {
        mem_free(path);
        path = NULL;
        MTS_TRY(path_join(ctx, &path, r->o->output_dir, name_at(i)));
        MTS_CHECK(!file_is_same(path, input), MTS_ERR_ARGUMENT,
                  "option --output_dir: %s is read by this run, which would write over it: give "
                  "another folder",
                  input);
    }
cleanup:
    mem_free(path);
    return st;
}

/* metrics_file is not the model at `folder`, nor one of its files, by whatever name, and no new one
 * in it. */
static mts_status check_metrics_outside(const run *r, const char *folder)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *given = r->o->metrics_file;
    file_list list = {0};
    char *path = NULL, *parent = NULL;
    MTS_CHECK(!file_is_same(folder, given), MTS_ERR_ARGUMENT,
              "option --metrics_file: %s is the model: give another file", given);
    if (!dir_exists(folder))
        return MTS_OK;
    MTS_TRY(path_parent(ctx, &parent, given));
    MTS_CHECK(!file_is_same(parent, folder), MTS_ERR_ARGUMENT,
              "option --metrics_file: %s is in the model folder: give a file elsewhere", given);
    MTS_TRY(file_list_dir(ctx, folder, &list));
    for (size_t i = 0; i < list.count; i++) {
        mem_free(path);
        path = NULL;
        MTS_TRY(path_join(ctx, &path, folder, list.names[i]));
        MTS_CHECK(!file_is_same(path, given), MTS_ERR_ARGUMENT,
                  "option --metrics_file: %s is %s of the model: give another file", given, path);
    }
cleanup:
    mem_free(path);
    mem_free(parent);
    file_list_deinit(&list);
    return st;
}

/* In output_dir, the log does not take the name of another file of the run. */
static mts_status check_metrics_name(const run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *given = r->o->metrics_file, *slash = strrchr(given, '/');
    const char *name = slash == NULL ? given : slash + 1;
    char *parent = NULL;
    MTS_TRY(path_parent(ctx, &parent, given));
    MTS_CHECK(!file_is_same(parent, r->o->output_dir) || strcmp(name, log_name) == 0 ||
                  !output_files_has_name(name),
              MTS_ERR_ARGUMENT,
              "option --metrics_file: the run writes something else into %s: give another file",
              given);
cleanup:
    mem_free(parent);
    return st;
}

mts_status output_files_check_inputs(const run *r)
{
    mts_status st = MTS_OK;
    const mts_options *o = r->o;
    const task *t = r->task;
    for (int64_t i = 0; t->class->input(t, i) != NULL; i++)
        MTS_TRY(check_data_file(r, t->class->input(t, i)));
    if (o->metrics_file == NULL)
        return MTS_OK;
    MTS_TRY(check_metrics_name(r));
    if (!file_is_same(r->origin.model_dir, o->output_dir))
        MTS_TRY(check_metrics_outside(r, r->origin.model_dir));
    if (!file_is_same(o->model_name_or_path, o->output_dir))
        MTS_TRY(check_metrics_outside(r, o->model_name_or_path));
cleanup:
    return st;
}
