/*
 * Where the lists of outlier features come from: the folder, or a short calibration.
 *
 * Calibration is a forward of some batches, in the format of the run, that watches the inputs; the
 * lists are made anew after each, so that later batches are computed with what is known.
 *
 * Path: run_prepare / predictor -> outlier_lists_prepare.
 */
#ifndef MTS_TRAIN_OUTLIER_LISTS_H
#define MTS_TRAIN_OUTLIER_LISTS_H

#include "data/batch.h"
#include "network/network.h"

enum { OUTLIER_CALIBRATION_BATCHES = 8 };

typedef struct outlier_source {
    bool keep;                   /* go by the lists of the folder, if it has some */
    const char *dir;             /* that folder, which net->cfg was read from; for `keep` */
    const char *adapter_dir;     /* an adapter's, whose lists go before those; or NULL */
    const encoded_dataset *rows; /* for calibration */
    int64_t batch_size;
    uint64_t seed; /* of the choice of rows */
} outlier_source;

/*
 * Fill the lists of net, whose weights are loaded; nothing if its format tells none apart.
 * *calibrated: they were found in source->rows.  b: room for a batch.
 * MTS_ERR_BAD_FILE: what the folder has; MTS_ERR_NUMERIC, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status outlier_lists_prepare(mts_ctx *ctx, network *net, batch *b,
                                               const outlier_source *source, bool *calibrated);

/* Only the lists of the folder dir, which net->cfg was read from, or of an adapter's (or NULL);
 * *found: there were some.  MTS_ERR_BAD_FILE, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status outlier_lists_take(mts_ctx *ctx, network *net, const char *dir,
                                            const char *adapter_dir, bool *found);

/* The lists of a checkpoint of this run; nothing if the format tells none apart.
 * MTS_ERR_NOT_FOUND, MTS_ERR_BAD_FILE, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status outlier_lists_load(mts_ctx *ctx, network *net, const char *dir);

/* text: what the lists hold, for a note. */
void outlier_lists_describe(const network *net, char *text, size_t bytes);

#endif
