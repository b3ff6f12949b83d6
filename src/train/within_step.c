/* Where a step is.  See within_step.h. */
#include "train/within_step.h"

#include <math.h>

#include "base/clock.h"

static const char *const phases[] = {
    [NETWORK_FORWARD] = "forward", [NETWORK_HEAD] = "head", [NETWORK_BACKWARD] = "backward"};

/* Parts of a batch, and which of them begins at a place: a layer's backward has two products where
 * its forward has one. */
static int64_t parts(int64_t layers)
{
    return 3 * layers + 1;
}

static int64_t part_of(const network_place *place, int64_t layers)
{
    switch (place->phase) {
    case NETWORK_FORWARD:
        return place->layer;
    case NETWORK_HEAD:
        return layers;
    case NETWORK_BACKWARD:
        break;
    }
    return layers + 1 + 2 * (layers - 1 - place->layer);
}

/* Seconds to the end of the training: by the steps before, and in the first by the part that is
 * done of it. */
static double seconds_left(const run *r, double done)
{
    const double spent = clock_seconds() - r->within.start;
    const double left = (double)(r->steps.total - r->state.global_step);
    double each = r->within.seconds;
    if (each == 0.0)
        each = done > 0.0 ? spent / done : 0.0;
    return fmax(each * left - spent, 0.0);
}

void within_step_tell(void *user, const network_place *place)
{
    run *r = user;
    const int64_t layers = r->net->cfg.num_hidden_layers, each = parts(layers);
    mts_event event = {
        .kind = MTS_EVENT_WITHIN_STEP,
        .text = phases[place->phase],
        .done = r->within.batch * each + part_of(place, layers),
        .total = r->within.batches * each,
        .epoch = run_epoch(r),
        .step = r->state.global_step + 1,
        .steps = r->steps.total,
        .batch = r->within.batch + 1,
        .batches = r->within.batches,
        .layer = place->phase == NETWORK_HEAD ? 0 : place->layer + 1,
        .layers = layers,
    };
    event.seconds_left = seconds_left(r, (double)event.done / (double)event.total);
    run_emit(r, &event);
}
