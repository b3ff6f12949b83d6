/*
 * A tiny task on disk, for tests of whole runs: a random BERT folder, and rows that it can learn.
 *
 * Path: tests/api, tests/cli/make_tiny_task.c -> here -> network_create, network_save.
 */
#ifndef MTS_TESTS_SUPPORT_TINY_TASK_H
#define MTS_TESTS_SUPPORT_TINY_TASK_H

#include "base/status.h"

/*
 * Into the folder dir (made if missing; same bytes each time):
 *   model/      config.json, model.safetensors (no head), vocab.txt: width 48, 4 heads, 2 layers,
 *               intermediate 100, 32 positions, dropout 0.1; no size is a multiple of 64
 *   outliers/   the same, but in the output of each layer norm the features 5 and 40 are far larger
 *               than the others
 *   train.tsv   60 rows "text<TAB>label" of 3 classes, 3 to 13 words, some of them in more than one
 *               piece
 *   dev.tsv     20 rows of the same kind
 *   score.tsv   40 rows "text<TAB>label" with a number as label
 * MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status tiny_task_write(mts_ctx *ctx, const char *dir);

/*
 * dir/roberta, dir/distilbert, dir/electra: as model/, but of that type, with its dropout, and with
 * a head for two classes; ELECTRA's embeddings have width 20, RoBERTa's positions begin at 1.
 */
MTS_NODISCARD mts_status tiny_task_write_relatives(mts_ctx *ctx, const char *dir);

#endif
