/* What holds for options that were set from text or files. */
#ifndef MTS_TESTS_FUZZ_USE_OPTIONS_H
#define MTS_TESTS_FUZZ_USE_OPTIONS_H

#include "mantissa/mantissa.h"

/* Every number lies in its range, every word is one of its choices; all checks of the options end
 * in MTS_OK or in one line that blames an argument. */
void use_options(const mts_options *options);

#endif
