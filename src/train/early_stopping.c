/* Early stopping.  See early_stopping.h. */
#include "train/early_stopping.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_util.h"
#include "train/run.h"

static const char callback_name[] = "EarlyStoppingCallback";

enum { EVALUATIONS_MAX = 1 << 30 };

void early_stopping_note(run *r, double value, bool greater_is_better)
{
    early_stopping *e = &r->state.stopping;
    const double gain = greater_is_better ? value - e->best : e->best - value;
    const bool better = !isnan(value) && (!e->has_best || gain > 0);
    /* as the callback: the first evaluation counts as better even without a value */
    if (e->evaluations == 0 || (better && (!e->has_best || gain > r->o->early_stopping_threshold)))
        e->count = 0;
    else
        e->count++;
    e->evaluations++;
    if (better) {
        e->has_best = true;
        e->best = value;
    }
}

bool early_stopping_due(const run *r)
{
    return r->o->early_stopping_patience > 0 &&
           r->state.stopping.count >= r->o->early_stopping_patience;
}

mts_status early_stopping_put(const run *r, json_t *callbacks)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const early_stopping *e = &r->state.stopping;
    const mts_options *o = r->o;
    char best[48];
    json_t *args = json_object(), *attributes = json_object(), *own = json_object();
    if (o->early_stopping_patience == 0)
        goto cleanup;
    snprintf(best, sizeof best, "%a", e->best);
    MTS_CHECK(args != NULL && attributes != NULL && own != NULL, MTS_ERR_MEMORY,
              "out of memory: %s", callback_name);
    MTS_TRY(json_util_set(ctx, args, "early_stopping_patience",
                          json_integer(o->early_stopping_patience)));
    MTS_TRY(json_util_set(ctx, args, "early_stopping_threshold",
                          json_real(o->early_stopping_threshold)));
    MTS_TRY(
        json_util_set(ctx, attributes, "early_stopping_patience_counter", json_integer(e->count)));
    MTS_TRY(json_util_set(ctx, attributes, "evaluations", json_integer(e->evaluations)));
    if (e->has_best)
        MTS_TRY(json_util_set(ctx, attributes, "best_value", json_string(best)));
    MTS_TRY(json_util_set(ctx, own, "args", json_incref(args)));
    MTS_TRY(json_util_set(ctx, own, "attributes", json_incref(attributes)));
    MTS_TRY(json_util_set(ctx, callbacks, callback_name, json_incref(own)));
cleanup:
    json_decref(args);
    json_decref(attributes);
    json_decref(own);
    return st;
}

mts_status early_stopping_load(run *r, const char *file, const json_t *callbacks)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    early_stopping *e = &r->state.stopping;
    const json_t *own = json_object_get(callbacks, callback_name);
    const json_t *attributes = json_object_get(own, "attributes");
    const char *best = NULL;
    char *end = NULL;
    if (r->o->early_stopping_patience == 0)
        return MTS_OK;
    MTS_CHECK(json_is_object(attributes), MTS_ERR_BAD_FILE,
              "%s: %s: expected an object attributes, found %s", file, callback_name,
              json_util_type_name(attributes));
    MTS_TRY(json_util_require(ctx, file, attributes, "early_stopping_patience_counter"));
    MTS_TRY(json_util_int(ctx, file, attributes, "early_stopping_patience_counter", 0,
                          EVALUATIONS_MAX, &e->count));
    MTS_TRY(json_util_require(ctx, file, attributes, "evaluations"));
    MTS_TRY(json_util_int(ctx, file, attributes, "evaluations", e->count, EVALUATIONS_MAX,
                          &e->evaluations));
    MTS_TRY(json_util_string(ctx, file, attributes, "best_value", &best));
    e->has_best = best != NULL;
    e->best = best == NULL ? 0.0 : strtod(best, &end);
    MTS_CHECK(best == NULL || (*best != '\0' && *end == '\0' && isfinite(e->best)),
              MTS_ERR_BAD_FILE, "%s: %s: best_value: expected a hexadecimal number", file,
              callback_name);
cleanup:
    return st;
}
