/* mantissa merge: a model with an adapter in its weights. */
#include "cli.h"

#include "interrupt.h"
#include "progress.h"
#include "report.h"

static int run_merge(cli_args *args)
{
    progress shown;
    interrupt_catch();
    const mts_callbacks callbacks = progress_begin(&shown, 1);
    const mts_status st = mts_merge(args->ctx, &args->options, &callbacks);
    progress_end(&shown);
    if (st == MTS_ERR_INTERRUPTED) {
        fprintf(stderr, "mantissa: %s\n", mts_error_text(args->ctx));
        return EXIT_INTERRUPTED;
    }
    if (st == MTS_OK)
        fprintf(stderr, "the merged model is in %s\n", args->options.output_dir);
    return cli_report(args->ctx, st);
}

const cli_command command_merge = {
    .name = "merge",
    .usage = "merge BASE --adapter_name_or_path DIR --output_dir OUT [options]",
    .summary = "write a model with an adapter in its weights",
    .about = "Adds the adapter in the folder DIR, or its first --rank ranks, to the weights of the "
             "model BASE\n"
             "(or --model_name_or_path), a folder or a GGUF file, and writes a folder that "
             "transformers opens.\n"
             "The sums are float32; what memory is needed does not depend on the size of the "
             "model.",
    .use = MTS_USE_MERGE,
    .takes_model = true,
    .run = run_merge,
};
