/*
 * --help: made from the library's option table and the sub-command's own flags.
 *
 * Layout: the flag with its value from column 2, the text from column 34 to 98.
 */
#include "cli.h"

#include <string.h>

enum { TEXT_COLUMN = 34, TEXT_WIDTH = 64 };

void help_print_program(FILE *file, const cli_command *const *commands)
{
    fprintf(file, "usage: mantissa COMMAND [options]\n\n"
                  "Fine-tunes BERT and language models with integer arithmetic in forward and "
                  "backward, on\nthe CPU.\n\n"
                  "commands:\n");
    for (size_t i = 0; commands[i] != NULL; i++)
        fprintf(file, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(file, "  %-10s %s\n", "help", "this text; 'mantissa help COMMAND': all its options");
    fprintf(file, "  %-10s %s\n", "--version", "the version");
    fprintf(file, "\nexit status: 0 success, 1 failed, 2 wrong usage, 130 interrupted.\n"
                  "MANTISSA_KERNEL=ref|avx2|avx512vnni|amx forces a family of integer kernels.\n");
}

/* Print text from the present column on, broken at spaces into lines of TEXT_WIDTH. */
static void print_wrapped(FILE *file, const char *text, int indent)
{
    while (strlen(text) > TEXT_WIDTH) {
        size_t n = TEXT_WIDTH;
        while (n > 0 && text[n] != ' ')
            n--;
        if (n == 0)
            n = strcspn(text, " ");
        if (text[n] == '\0')
            break;
        fprintf(file, "%.*s\n%*s", (int)n, text, indent, "");
        text += n + 1;
    }
    fprintf(file, "%s\n", text);
}

static void print_flag(FILE *file, const char *name, const char *placeholder, const char *text)
{
    int column = fprintf(file, "  --%s%s%s", name, placeholder[0] != '\0' ? " " : "", placeholder);
    if (column >= TEXT_COLUMN) {
        fputc('\n', file);
        column = 0;
    }
    fprintf(file, "%*s", TEXT_COLUMN - column, "");
    print_wrapped(file, text, TEXT_COLUMN);
}

static const char *placeholder_of(const mts_option_info *info)
{
    if (info->type == MTS_OPTION_BOOL)
        return "[true|false]";
    if (info->type == MTS_OPTION_TRISTATE)
        return "[true|false|auto]";
    if (info->type == MTS_OPTION_STRING)
        return info->choices != NULL ? "NAME" : "TEXT";
    return info->type == MTS_OPTION_INT ? "N" : "X";
}

/* Choices, a range where it tells something, the default, which the model's folder may decide. */
static void print_option(FILE *file, const mts_option_info *info, bool as_trained)
{
    char text[1024], range[96] = "";
    const char *before =
        as_trained && mts_option_is_stored(info) ? "as the folder says, else " : "";
    const bool numeric = info->type == MTS_OPTION_INT || info->type == MTS_OPTION_REAL;
    const char *standard = info->default_text;
    if (info->choices != NULL)
        snprintf(range, sizeof range, ": %s", info->choices);
    else if (numeric && info->min > 0 && info->max < 1e6)
        snprintf(range, sizeof range, ", %.16g to %.16g", info->min, info->max);
    if (standard != NULL)
        snprintf(text, sizeof text, "%s%s [%s%s]", info->help, range, before, standard);
    else
        snprintf(text, sizeof text, "%s%s", info->help, range);
    print_flag(file, info->name, placeholder_of(info), text);
}

void help_print_command(FILE *file, const cli_command *command)
{
    fprintf(file, "usage: mantissa %s\n\n%s\nDefaults are in brackets.\n", command->usage,
            command->about);
    if (command->flags != NULL)
        fprintf(file, "\nOf this command:\n");
    for (const cli_flag *f = command->flags; f != NULL && f->name != NULL; f++)
        print_flag(file, f->name, f->placeholder, f->help);
    const char *group = "";
    for (size_t i = 0; i < mts_option_count(); i++) {
        const mts_option_info *info = mts_option_at(i);
        if ((info->used_by & command->use) == 0)
            continue;
        if (strcmp(info->group, group) != 0)
            fprintf(file, "\n%s:\n", info->group);
        group = info->group;
        print_option(file, info, command->as_trained);
    }
    fprintf(file, "\nDashes and underscores in names are the same; --name=value works as well; "
                  "--no_NAME switches off.\n");
}
