/*
 * The files that a run writes into its output folder, by name; beside them are the checkpoints
 * (checkpoint_folder.h).  What is not named here is the user's, and no run touches it.
 *
 * Path: checkpoint_find_resume, checkpoint_begin, checkpoint_folder_clean, run_prepare -> here.
 */
#ifndef MTS_TRAIN_OUTPUT_FILES_H
#define MTS_TRAIN_OUTPUT_FILES_H

#include "train/run.h"

/* Whether a run writes a file of this name: of the model, its tokenizer, its state and results. */
bool output_files_has_name(const char *name);

/*
 * *found: the name (constant) of a file in dir that a run would write over or that readers would
 * take for a part of its model, or NULL.  An empty file is none: nothing is lost with it.
 * MTS_ERR_ARGUMENT: there is a folder under such a name.
 */
MTS_NODISCARD mts_status output_files_find(mts_ctx *ctx, const char *dir, const char **found);

/* Remove the results and the log of a former run from dir; its model stays until there is another.
 * MTS_ERR_IO. */
MTS_NODISCARD mts_status output_files_forget_results(mts_ctx *ctx, const char *dir);

/* Refuse to write over what is read: data files among the files of output_dir, a metrics_file that
 * is a data file, in the model folder, or another file of output_dir.  After task_open.
 * MTS_ERR_ARGUMENT. */
MTS_NODISCARD mts_status output_files_check_inputs(const run *r);

#endif
