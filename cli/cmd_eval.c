/* mantissa eval: the metrics of a fine-tuned folder on validation data. */
#include "cli.h"

#include "interrupt.h"
#include "metrics_table.h"
#include "progress.h"
#include "report.h"

static int run_eval(cli_args *args)
{
    char *metrics = NULL;
    bool told = true;
    progress shown;
    interrupt_catch();
    const mts_callbacks callbacks = progress_begin(&shown, args->options.logging_steps);
    const mts_status st = mts_eval(args->ctx, &args->options, &callbacks, &metrics);
    progress_end(&shown);
    if (st == MTS_OK)
        args_note_assumed(args);
    if (st == MTS_ERR_INTERRUPTED) {
        fprintf(stderr, "mantissa: interrupted\n");
        return EXIT_INTERRUPTED;
    }
    if (st == MTS_OK && args->json)
        printf("%s\n", metrics);
    else if (st == MTS_OK && args->options.ranks != NULL)
        told = metrics_print_ranks(stdout, metrics);
    else if (st == MTS_OK)
        told = metrics_print_table(stdout, "eval metrics", metrics);
    mts_string_free(metrics);
    return told ? cli_report(args->ctx, st) : EXIT_FAILED;
}

static const cli_flag flags[] = {
    {.name = "json",
     .type = CLI_FLAG_SWITCH,
     .placeholder = "",
     .help = "print the metrics as JSON, with all digits",
     .offset = offsetof(cli_args, json)},
    {.name = NULL},
};

const cli_command command_eval = {
    .name = "eval",
    .usage = "eval DIR --validation_file FILE [options]",
    .summary = "evaluate a fine-tuned model",
    .about = "Evaluates the fine-tuned folder DIR (or --model_name_or_path) on a GLUE task's dev "
             "set or on a file.\nWith --output_dir the metrics are written there as well "
             "(eval_results.json).\nWith --ranks an adapter is evaluated at each of these ranks: a "
             "table, and a plot of the loss.\nPrecision and length are those of the training "
             "unless given.",
    .use = MTS_USE_EVAL,
    .takes_model = true,
    .as_trained = true,
    .flags = flags,
    .run = run_eval,
};
