/* The wish to stop: SIGINT, SIGTERM.  See interrupt.h. */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t asked;

static void on_signal(int number)
{
    (void)number;
    asked = 1;
}

/* A signal that is ignored already, as Ctrl-C is for a job in the background, stays ignored. */
static void catch_signal(int number)
{
    struct sigaction action = {.sa_handler = on_signal}, old = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    action.sa_flags = (int)SA_RESETHAND; /* no SA_RESTART: a blocked read ends as well */
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

void interrupt_catch(void)
{
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
}

bool interrupt_asked(void)
{
    return asked != 0;
}
