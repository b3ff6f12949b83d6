/* The wish to stop: SIGINT, SIGTERM; to know where a run is: SIGUSR1.  See interrupt.h. */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t asked, status_asked;

static void on_signal(int number)
{
    (void)number;
    asked = 1;
}

static void on_status_signal(int number)
{
    (void)number;
    status_asked = 1;
}

/* A signal that is ignored already, as Ctrl-C is for a job in the background, stays ignored. */
static void catch_signal(int number, void (*handler)(int number), int flags)
{
    struct sigaction action = {.sa_handler = handler}, old = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    action.sa_flags = flags;
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

void interrupt_catch(void)
{
    /* no SA_RESTART: a blocked read ends as well */
    catch_signal(SIGINT, on_signal, (int)SA_RESETHAND);
    catch_signal(SIGTERM, on_signal, (int)SA_RESETHAND);
    catch_signal(SIGUSR1, on_status_signal, SA_RESTART);
}

bool interrupt_takes_status(void)
{
    const bool was = status_asked != 0;
    if (was)
        status_asked = 0;
    return was;
}

bool interrupt_asked(void)
{
    return asked != 0;
}
