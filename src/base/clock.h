/* Time. */
#ifndef MTS_BASE_CLOCK_H
#define MTS_BASE_CLOCK_H

/* Seconds on a monotonic clock. */
double clock_seconds(void);

#endif
