/*
 * AMX without AMX: a SIGILL handler that executes the AMX-INT8 instructions in software.
 *
 * Test code only, x86-64 Linux.  It lets the AMX kernels, as compiled, be tested on processors that
 * lack them.  Instructions: ldtilecfg, tilerelease, tilezero, tileloadd(t1), tilestored,
 * tdpb{ss,su,us,uu}d, each with every addressing form.  Any other illegal instruction is left to
 * the handler that was there before, by default the end of the process.
 */
#ifndef MTS_TESTS_SUPPORT_AMX_EMULATOR_H
#define MTS_TESTS_SUPPORT_AMX_EMULATOR_H

#include <stdbool.h>

/*
 * After true, the family "amx" can run: natively, or by the emulator, which is then installed for
 * the whole process (each thread has tile registers of its own).  Call it before the first call of
 * kernels_select.  False: the rest of what the AMX kernels need (AVX-512 VNNI) is missing here, or
 * the handler could not be installed.
 *
 * cmocka takes SIGILL for itself around each test: a test that runs AMX calls this again at its
 * start.
 */
bool amx_emulator_install(void);

/* How many AMX instructions were emulated so far, by all threads; 0 where AMX is native. */
unsigned long long amx_emulator_count(void);

#endif
