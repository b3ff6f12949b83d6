/* Result files of a run.  See results.h. */
#include "train/results.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "models/bert_io.h"
#include "train/train_state.h"

mts_status results_save(mts_ctx *ctx, const char *dir, const char *split, const json_t *values)
{
    mts_status st = MTS_OK;
    char name[64];
    char *path = NULL, *all_path = NULL;
    json_t *all = NULL;
    snprintf(name, sizeof name, "%s_results.json", split);
    MTS_TRY(file_make_dirs(ctx, dir));
    MTS_TRY(path_join(ctx, &path, dir, name));
    MTS_TRY(path_join(ctx, &all_path, dir, "all_results.json"));
    MTS_TRY(json_util_save(ctx, values, path));
    if (file_exists(all_path)) {
        MTS_TRY(json_util_load_object(ctx, all_path, JSON_UTIL_CONFIG_BYTES, &all));
    } else {
        all = json_object();
        MTS_CHECK(all != NULL, MTS_ERR_MEMORY, "out of memory: %s", all_path);
    }
    MTS_CHECK(json_object_update(all, (json_t *)(uintptr_t)values) == 0, MTS_ERR_MEMORY,
              "out of memory: %s", all_path);
    MTS_TRY(json_util_save(ctx, all, all_path));
cleanup:
    json_decref(all);
    mem_free(path);
    mem_free(all_path);
    return st;
}

mts_status results_save_model(run *r)
{
    mts_status st = MTS_OK;
    MTS_TRY(run_check_weights(r, r->o->output_dir));
    MTS_TRY(tokenizer_files_write(r->ctx, &r->tokenizer_files, r->o->output_dir));
    MTS_TRY(bert_save(r->ctx, r->model, r->o->output_dir));
    MTS_TRY(train_state_save(r, r->o->output_dir));
cleanup:
    return st;
}
