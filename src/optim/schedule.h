/*
 * The learning rate over a run: factor(step) in [0, 1], times the peak rate.
 *
 * Path: train_step -> schedule_factor -> optimizer_step.  The formulas, and the order of their
 * operations, are those of transformers' get_scheduler (names and defaults alike).
 *
 *   s < w                     s / max(1, w)                              all but constant
 *   linear                    max(0, (n - s) / max(1, n - w))
 *   cosine                    max(0, (1 + cos(pi (s - w) / max(1, n - w))) / 2)
 *   constant(_with_warmup)    1
 */
#ifndef MTS_OPTIM_SCHEDULE_H
#define MTS_OPTIM_SCHEDULE_H

#include <stdint.h>

typedef enum schedule_kind {
    SCHEDULE_LINEAR,
    SCHEDULE_COSINE,
    SCHEDULE_CONSTANT, /* no warm-up either */
    SCHEDULE_CONSTANT_WITH_WARMUP,
} schedule_kind;

typedef struct schedule {
    schedule_kind kind;
    int64_t steps;  /* n: optimizer steps of the whole run, >= 0 */
    int64_t warmup; /* w: steps in which the rate rises from 0, >= 0 */
} schedule;

/* The kind named by the option lr_scheduler_type, whose choices were checked (asserted). */
schedule_kind schedule_kind_of(const char *text);

/* A number of steps that is given whole, or below 1 as a part of all: then ceil(total * steps). */
int64_t schedule_steps(double steps, int64_t total);

/* schedule_steps of warmup_steps if that is > 0, otherwise of warmup_ratio, which may be 1: all. */
int64_t schedule_warmup_steps(double warmup_steps, double warmup_ratio, int64_t total);

/* The factor of the update number `step`, counted from 0.  Any step >= 0, also beyond the end. */
double schedule_factor(const schedule *s, int64_t step);

#endif
