/*
 * What a run tells while it goes on, on standard error.
 *
 * Path: cmd_<name>.c -> progress_begin; mts_train -> on_event -> progress.c.
 */
#ifndef MANTISSA_CLI_PROGRESS_H
#define MANTISSA_CLI_PROGRESS_H

#include <mantissa/mantissa.h>

typedef struct progress {
    bool terminal;        /* draw a bar; otherwise print a line now and then */
    bool open;            /* a bar is on the line now */
    double logging_steps; /* steps between two lines; below 1: part of all steps */
    double loss_sum;      /* since the last line */
    int64_t loss_count;
    double drawn_at;  /* seconds */
    double step_at;   /* when the present step began; 0: none did */
    char status[256]; /* where the run is */
} progress;

/* For a run that calls back.  The result borrows p. */
mts_callbacks progress_begin(progress *p, double logging_steps);
/* Of a phase with so many rows (-1: not known) this many are done; drawn on a terminal only. */
void progress_rows(progress *p, const char *phase, int64_t done, int64_t total);
/* Remove a bar that is still shown. */
void progress_end(progress *p);

#endif
