/*
 * The log of a run: JSON lines in metrics_file, the same objects in trainer_state.json's
 * log_history (keys sorted, so that the lines of a resumed run are those of an uninterrupted one);
 * but those of train_log_show are in the file only.
 *
 * A pipe or a device stays open for the whole run; a pipe whose reader has gone gets no more lines.
 */
#ifndef MTS_TRAIN_TRAIN_LOG_H
#define MTS_TRAIN_TRAIN_LOG_H

#include <jansson.h>

#include "base/status.h"

struct run;

/* Where metrics go; a member of run. */
typedef struct train_log {
    char *path;   /* owned */
    bool special; /* a device or pipe, written in place by fd while open */
    bool open;
    bool failed; /* the last line could not be written */
    int fd;
} train_log;

/* Begin the metrics file: the lines of r->state.log_history (those of a resumed run), nothing else.
 * A symbolic link stays: the file it leads to is replaced. */
MTS_NODISCARD mts_status train_log_open(struct run *r);

/* Append a copy of an object, with the present step and epoch. */
MTS_NODISCARD mts_status train_log_add(struct run *r, const json_t *values);

/* The same to metrics_file alone: for what readers of log_history do not expect.  A run that is
 * resumed begins without the former lines of this kind. */
MTS_NODISCARD mts_status train_log_show(struct run *r, const json_t *values);

/* Close the pipe or device; safe at any time. */
void train_log_close(struct run *r);

#endif
