/* Metrics for people: a flat JSON object as one line, or as a table. */
#include "metrics_table.h"

#include <jansson.h>
#include <string.h>

#include "escape.h"
#include "report.h"

/* The text of a number, string or null; false for anything else. */
static bool format_value(const json_t *value, char *text, size_t bytes)
{
    if (json_is_integer(value))
        snprintf(text, bytes, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, bytes, "%.6g", json_real_value(value));
    else if (json_is_string(value))
        snprintf(text, bytes, "%s", json_string_value(value));
    else if (json_is_null(value)) /* JSON has no NaN: e.g. a correlation with a constant */
        snprintf(text, bytes, "nan");
    else
        return false;
    return true;
}

void metrics_format_line(const char *json, char *text, size_t bytes)
{
    json_t *root = json_loads(json, 0, NULL);
    const char *key = NULL;
    json_t *value = NULL;
    size_t used = 0;
    text[0] = '\0';
    json_object_foreach(root, key, value)
    {
        char number[64];
        if (!format_value(value, number, sizeof number))
            continue;
        const int n =
            snprintf(text + used, bytes - used, "%s%s %s", used > 0 ? "  " : "", key, number);
        if (n < 0 || (size_t)n >= bytes - used)
            break;
        used += (size_t)n;
    }
    json_decref(root);
}

/* Whether a column is of interest: not the time it took. */
static bool is_column(const char *key, const json_t *value)
{
    return json_is_number(value) && strstr(key, "_runtime") == NULL &&
           strstr(key, "_per_second") == NULL;
}

/* A line of the table of ranks: the keys, or the values under them. */
static void print_rank_line(FILE *file, json_t *row, bool keys)
{
    const char *key = NULL;
    json_t *value = NULL;
    bool first = true;
    json_object_foreach(row, key, value)
    {
        const char *name = strncmp(key, "eval_", 5) == 0 ? key + 5 : key;
        char text[64];
        if (!is_column(key, value) || !format_value(value, text, sizeof text))
            continue;
        fprintf(file, "%s%*s", first ? "" : "  ", strlen(name) > 10 ? (int)strlen(name) : 10,
                keys ? name : text);
        first = false;
    }
    fputc('\n', file);
}

bool metrics_print_ranks(FILE *file, const char *json)
{
    json_t *root = json_loads(json, 0, NULL);
    json_t *rows = json_object_get(root, "eval_by_rank");
    if (rows == NULL) {
        cli_error("out of memory: the metrics cannot be shown");
        json_decref(root);
        return false;
    }
    print_rank_line(file, json_array_get(rows, 0), true);
    for (size_t i = 0; i < json_array_size(rows); i++)
        print_rank_line(file, json_array_get(rows, i), false);
    json_decref(root);
    return true;
}

bool metrics_print_table(FILE *file, const char *heading, const char *json)
{
    json_t *root = json_loads(json, 0, NULL);
    const char *key = NULL;
    json_t *value = NULL;
    int width = 0;
    if (root == NULL) { /* the library wrote it: there is nothing wrong with the text */
        cli_error("out of memory: the %s cannot be shown", heading);
        return false;
    }
    json_object_foreach(root, key, value)
    {
        if ((int)strlen(key) > width)
            width = (int)strlen(key);
    }
    fprintf(file, "***** %s *****\n", heading);
    json_object_foreach(root, key, value)
    {
        char number[64];
        if (format_value(value, number, sizeof number))
            fprintf(file, "  %-*s = %s\n", width, key, number);
    }
    json_decref(root);
    return true;
}
