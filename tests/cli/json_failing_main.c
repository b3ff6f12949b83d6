/*
 * mantissa_json_failing N WORDS...: the whole command, the N-th allocation of jansson failing.
 * Ends with status 99 if it made fewer.  Test only: tests/CMakeLists.txt gives main of cli/main.c
 * the name below.
 */
#include "base/json_memory.h"

#include <stdlib.h>

enum { NOT_REACHED = 99 };

int mantissa_main(int argc, char **argv);

int main(int argc, char **argv)
{
    const long long n = argc > 1 ? strtoll(argv[1], NULL, 10) : 0;
    json_memory_fail_after(n);
    argv[1] = argv[0];
    const int status = mantissa_main(argc - 1, argv + 1);
    return json_memory_fail_after(-1) > n ? status : NOT_REACHED;
}
