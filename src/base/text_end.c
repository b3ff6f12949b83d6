/* What a text ends in.  See text_end.h. */
#include "base/text_end.h"

#include <string.h>

bool text_ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

bool text_has_ending(const char *text, const char *end)
{
    return strlen(text) > strlen(end) && text_ends_in(text, end);
}
