/*
 * The outlier features of a network's inputs: found, told, kept in its folder.
 *                                                                     tensor/outliers.h
 * In a folder they are in config.json, beside the options of the training:
 *
 *     "mantissa": {"outlier_features": {"encoder.layer.0.output.dense": [17, 301], ...}}
 *
 * with one key for each linear layer, even where the list is empty.
 *
 * Path: outlier_lists_prepare (train/) -> here.
 */
#ifndef MTS_NETWORK_NETWORK_OUTLIERS_H
#define MTS_NETWORK_NETWORK_OUTLIERS_H

#include "network/network.h"

/* Whether the network's format tells outliers apart. */
bool network_has_outliers(const network *net);

/* From now on the largest magnitudes of inputs are watched, or not. */
void network_watch_outliers(network *net, bool on);

/* Make all lists of what was watched since network_forget_watched. */
void network_find_outliers(network *net);
void network_forget_watched(network *net);

typedef struct outlier_totals {
    int64_t inputs, features; /* of all linear layers */
    int64_t with_outliers, outliers;
    int64_t most;                /* outliers of one input */
    const char *most_name;       /* its name, or NULL */
    int64_t cut;                 /* inputs with more outliers than their lists can hold */
    const char *cut_name;        /* the first of them, or NULL */
    int64_t cut_found, cut_kept; /* its features over the threshold, and in the list */
} outlier_totals;

/* Names are owned by the network. */
outlier_totals network_outlier_totals(const network *net);

/* Put the lists into net->cfg.json, or take what is there out if there are none to keep.
 * MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status network_store_outliers(mts_ctx *ctx, network *net);

/* Set the lists to those of a config.json, the object `config`; *found: there are some.  file: for
 * texts.  MTS_ERR_BAD_FILE: not what network_store_outliers writes for such a network. */
MTS_NODISCARD mts_status network_take_outliers(mts_ctx *ctx, network *net,
                                               const struct json_t *config, const char *file,
                                               bool *found);

#endif
