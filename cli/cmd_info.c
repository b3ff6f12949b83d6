/*
 * mantissa info: the processor and the kernel family in use; of a model folder its architecture,
 * parameters and the memory of a training run; of a GGUF file what is in it.
 *
 * The model's JSON comes from mts_model_describe; this file only lays it out.
 */
#include "cli.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "escape.h"
#include "report.h"

/* Bytes for people: "21.7 MiB". */
static void format_bytes(char *text, size_t bytes, double value)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(text, bytes, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void print_value(const char *key, const json_t *value)
{
    char text[64];
    if (json_is_integer(value) && strstr(key, "bytes") != NULL) {
        format_bytes(text, sizeof text, (double)json_integer_value(value));
        printf("%s\n", text);
    } else if (json_is_integer(value)) {
        printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
    } else if (json_is_real(value)) {
        printf("%.9g\n", json_real_value(value));
    } else if (json_is_string(value)) {
        escape_text(stdout, json_string_value(value));
        putchar('\n');
    } else {
        printf("%s\n", json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
    }
}

/* "total_bytes" as "total": the value comes with its unit.  Names that begin with a capital, as
 * "Q4_1", are no words of ours and stay. */
static void format_name(char *name, size_t bytes, const char *key)
{
    const size_t n = strlen(key);
    const bool unit = n > 6 && strcmp(key + n - 6, "_bytes") == 0;
    snprintf(name, bytes, "%.*s", (int)(unit ? n - 6 : n), key);
    for (char *p = name; *p != '\0'; p++)
        if (*p == '_' && islower((unsigned char)name[0]))
            *p = ' ';
}

/* One line per member; members of an object inside are indented below its name. */
static void print_object(const json_t *object, int indent)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)object, key, value)
    {
        char name[64];
        format_name(name, sizeof name, key);
        if (json_is_object(value)) {
            printf("%*s%s\n", indent, "", name);
            print_object(value, indent + 2);
        } else if (json_is_array(value)) {
            char *text = json_dumps(value, JSON_COMPACT);
            printf("%*s%-*s ", indent, "", 32 - indent, name);
            escape_text(stdout, text != NULL ? text : "");
            putchar('\n');
            free(text);
        } else {
            printf("%*s%-*s ", indent, "", 32 - indent, name);
            print_value(key, value);
        }
    }
}

static void print_json(const char *processor, const char *model)
{
    printf("{\"mantissa\": \"%s\", \"processor\": ", MTS_VERSION);
    escape_json(stdout, processor);
    if (model != NULL)
        printf(", \"model\": %s", model);
    printf("}\n");
}

/* What the library says of a model.  False: the error was printed. */
static bool print_model(const char *model)
{
    json_t *root = json_loads(model, 0, NULL);
    if (root == NULL) { /* the library wrote it: there is nothing wrong with the text */
        cli_error("out of memory: the description of the model cannot be shown");
        return false;
    }
    print_object(root, 0);
    json_decref(root);
    return true;
}

static int run_info(cli_args *args)
{
    char processor[1024] = "";
    char *model = NULL;
    bool told = true;
    mts_status st = mts_cpu_describe(args->ctx, processor, sizeof processor);
    if (st == MTS_OK && args->options.model_name_or_path != NULL)
        st = mts_model_describe(args->ctx, &args->options, &model);
    if (st == MTS_OK && args->json) {
        print_json(processor, model);
    } else if (st == MTS_OK) {
        printf("%-32s %s\n%-32s %s\n", "mantissa", MTS_VERSION, "processor", processor);
        told = model == NULL || print_model(model);
    }
    mts_string_free(model);
    return told ? cli_report(args->ctx, st) : EXIT_FAILED;
}

static const cli_flag flags[] = {
    {.name = "json",
     .type = CLI_FLAG_SWITCH,
     .placeholder = "",
     .help = "print JSON",
     .offset = offsetof(cli_args, json)},
    {.name = NULL},
};

const cli_command command_info = {
    .name = "info",
    .usage = "info [DIR|FILE.gguf] [options]",
    .summary = "show the processor, and a model's size and memory needs",
    .about = "Shows processor features and the integer kernel family in use; for a model folder "
             "DIR (or\n--model_name_or_path) the architecture, parameters, labels, what it was "
             "trained with, and the memory\nthat a training run with these options needs; for a "
             "GGUF file its sizes, tokenizer and tensors.\nThe whole line of a 'mantissa train' "
             "may be given: its options that are not listed here do not\nchange the memory, and "
             "are read and passed over.",
    .use = MTS_USE_INFO,
    .reads = MTS_USE_TRAIN,
    .takes_model = true,
    .flags = flags,
    .run = run_info,
};
