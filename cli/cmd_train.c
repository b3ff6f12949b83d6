/*
 * mantissa train: fine-tune, evaluate, label a test file, as --do_train, --do_eval and --do_predict
 * say; what transformers' run_glue.py does.
 */
#include "cli.h"

#include "interrupt.h"
#include "metrics_table.h"
#include "progress.h"
#include "report.h"

/* The run was stopped by a signal: the library says how far it came and how it goes on. */
static int report_interrupted(const mts_ctx *ctx)
{
    fprintf(stderr, "mantissa: %s\n", mts_error_text(ctx));
    return EXIT_INTERRUPTED;
}

static int run_train(cli_args *args)
{
    const mts_options *o = &args->options;
    char *metrics = NULL;
    bool told = true;
    progress shown;
    interrupt_catch();
    const mts_callbacks callbacks = progress_begin(&shown, o->logging_steps);
    const mts_status st = mts_train(args->ctx, o, &callbacks, &metrics);
    progress_end(&shown);
    if (st == MTS_OK)
        args_note_assumed(args); /* evaluation or prediction only */
    if (st == MTS_OK && metrics != NULL)
        told = metrics_print_table(stdout, "eval metrics", metrics);
    mts_string_free(metrics);
    if (st == MTS_ERR_INTERRUPTED)
        return report_interrupted(args->ctx);
    if (st == MTS_OK && o->do_train)
        fprintf(stderr, "the fine-tuned model is in %s\n", o->output_dir);
    return told ? cli_report(args->ctx, st) : EXIT_FAILED;
}

const cli_command command_train = {
    .name = "train",
    .usage = "train --model_name_or_path DIR --train_file FILE --output_dir DIR [options]",
    .summary = "fine-tune a model",
    .about = "Fine-tunes a model folder as transformers writes it: BERT on a GLUE task, on "
             "SQuAD or on a CSV,\n"
             "TSV or JSONL file of texts and labels; Llama, Mistral or Qwen2 (also as a GGUF "
             "file) on a file of\n"
             "texts, all of it or an adapter (--method lora). Writes a folder that "
             "transformers or PEFT opens.\n"
             "The options are those of transformers' run_glue.py and run_qa.py; --precision "
             "says in which\n"
             "numbers. Ctrl-C stops at the next step and writes a checkpoint; SIGUSR1 prints "
             "where the run is.\n"
             "With --do_train false, precision and length are those the folder was trained with, "
             "unless given.",
    .use = MTS_USE_TRAIN,
    .run = run_train,
};
