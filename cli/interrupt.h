/*
 * The wish to stop: SIGINT and SIGTERM.
 *
 * Path: cmd_<name>.c -> interrupt_catch; progress.c and lines.c ask.
 */
#ifndef MANTISSA_CLI_INTERRUPT_H
#define MANTISSA_CLI_INTERRUPT_H

#include <stdbool.h>

/* From now on SIGINT and SIGTERM ask for a clean stop; a second one kills. */
void interrupt_catch(void);
bool interrupt_asked(void);

#endif
