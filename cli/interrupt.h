/*
 * The wish to stop: SIGINT and SIGTERM.  The wish to know where a run is: SIGUSR1.
 *
 * Path: cmd_<name>.c -> interrupt_catch; progress.c and lines.c ask.
 */
#ifndef MANTISSA_CLI_INTERRUPT_H
#define MANTISSA_CLI_INTERRUPT_H

#include <stdbool.h>

/* From now on SIGINT and SIGTERM ask for a clean stop; a second one kills.  SIGUSR1 disturbs
 * nothing. */
void interrupt_catch(void);
bool interrupt_asked(void);
/* Whether SIGUSR1 came since the last call. */
bool interrupt_takes_status(void);

#endif
