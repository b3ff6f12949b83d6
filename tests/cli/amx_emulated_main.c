/*
 * mantissa_amx_emulated: the whole command on a processor without AMX, its AMX kernels executed by
 * support/amx_emulator.c.  Test only: tests/CMakeLists.txt gives main of cli/main.c the name below.
 */
#include "support/amx_emulator.h"

#include <stdio.h>

int mantissa_main(int argc, char **argv);

int main(int argc, char **argv)
{
    if (!amx_emulator_install()) {
        fprintf(stderr, "mantissa_amx_emulated: this processor lacks AVX-512 VNNI\n");
        return 77;
    }
    return mantissa_main(argc, argv);
}
