/* Sizes of files as transformers writes them: "5GB".  See options.h. */
#include "options/options.h"

#include <ctype.h>
#include <string.h>

#include "base/number_parse.h"

enum { TEXT_BYTES = 32 };

mts_status options_parse_size(mts_ctx *ctx, const char *name, const char *text, uint64_t *bytes)
{
    static const struct {
        const char *end;
        int64_t factor;
    } units[] = {
        {"KIB", 1 << 10}, {"MIB", 1 << 20},   {"GIB", 1 << 30}, {"KB", 1000},
        {"MB", 1000000},  {"GB", 1000000000}, {"", 1},
    };
    mts_status st = MTS_OK;
    char upper[TEXT_BYTES] = "";
    int64_t number = 0;
    size_t n = strlen(text), u = 0;
    bool fits = n < sizeof upper;
    for (size_t i = 0; fits && i < n; i++)
        upper[i] = (char)toupper((unsigned char)text[i]);
    while (fits && (strlen(units[u].end) > n ||
                    strcmp(upper + n - strlen(units[u].end), units[u].end) != 0))
        u++; /* the last one fits everything */
    if (fits)
        upper[n - strlen(units[u].end)] = '\0';
    MTS_CHECK(fits && number_parse_integer(upper, &number) && number >= 1 &&
                  number <= INT64_MAX / units[u].factor,
              MTS_ERR_ARGUMENT,
              "option --%s: expected a size, e.g. 5GB, 500MB or 2GiB, found '%.40s'", name, text);
    *bytes = (uint64_t)(number * units[u].factor);
cleanup:
    return st;
}
